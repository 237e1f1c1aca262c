package main

import (
	"bytes"
	"fmt"
	"html"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/diagnose/evidence"
)

// style is the look of the page, which refers to nothing outside itself.
const style = `body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}section{border-left:4px solid #c90;padding:.1rem 1rem;margin:1rem 0;background:#fafafa}
section.first{border-color:#c22}dt{color:#666;float:left;width:7rem}dd{margin-left:7.5rem;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:13px}td{border-top:1px solid #ddd;padding:.2rem .4rem;vertical-align:top;overflow-wrap:anywhere}
td:first-child{white-space:nowrap}tr.error td{background:#fdd}tr.warning td{background:#ffe9b8}`

// page returns a report as one HTML page. All text is escaped: it comes from files
// that may be hostile.
func page(r *evidence.Report) []byte {
	var b bytes.Buffer
	put := func(format string, args ...string) {
		escaped := make([]any, len(args))
		for i, a := range args {
			escaped[i] = html.EscapeString(a)
		}
		fmt.Fprintf(&b, format, escaped...)
	}
	put("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Why the setup failed</title>\n<style>")
	b.WriteString(style)
	put("</style>\n<h1>Why the setup failed</h1>\n")
	if len(r.Findings) == 0 {
		put("<p>%s.</p>\n", "N"+noFault(r.Sources)[1:])
	}
	for _, f := range r.Findings {
		class := ""
		if f.First {
			class = "first"
		}
		put("<section class=\"%s\"><h2>%s</h2><dl>\n", class, f.Title)
		row := func(name, value string) {
			if value != "" {
				put("<dt>%s</dt><dd>%s</dd>\n", name, value)
			}
		}
		row("phase", f.Phase)
		row("confidence", f.Confidence)
		row("because", strings.Join(f.Because, ", "))
		row("causes", strings.Join(f.Causes, ", "))
		for _, e := range f.Evidence {
			row("evidence", fmt.Sprintf("%s: %s", e.Ref, e.Text))
		}
		row("collect", f.Collect)
		row("remedy", f.Remedy)
		row("rule", f.ID+" ("+f.Source+")")
		put("</dl></section>\n")
	}
	put("<h2>Time line</h2>\n<table>\n")
	for _, e := range r.Timeline {
		put("<tr class=\"%s\"><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
			e.Level, e.Time.Format("2006-01-02 15:04:05.000"), e.Phase, e.Event, e.Text, e.Detail, e.Ref.String())
	}
	put("</table>\n<h2>Files</h2>\n<table>\n")
	for _, s := range r.Sources {
		put("<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", s.Name, s.Kind, strconv.Itoa(s.Records), strings.Join(s.Problems, "; "))
	}
	put("</table>\n</html>\n")
	return b.Bytes()
}
