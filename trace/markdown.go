package trace

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteMarkdown writes the trace as Markdown in UTF-8: a heading for each step, and
// for each request and command a line that says what it is for and how it ended.
// The error is that of w.
func (t *Trace) WriteMarkdown(w io.Writer) error {
	v := t.view()
	out := bufio.NewWriter(w)
	title, start := v.title()
	fmt.Fprintf(out, "# %s, %s\n", title, start)
	if v.Subject != "" {
		fmt.Fprintf(out, "\n%s\n", markdown(v.Subject))
	}
	if others := v.others(); others != "" {
		fmt.Fprintf(out, "\n%s\n", others)
	}
	if early := v.of(-1); len(early) > 0 {
		fmt.Fprint(out, "\n## before the first step\n\n")
		writeEntries(out, early)
	}
	for i, s := range v.Steps {
		fmt.Fprintf(out, "\n## %s%s: %s%s\n\n", s.Step, attempt(s.Attempt), s.Status, v.times(s))
		if s.Err != "" {
			fmt.Fprintf(out, "> %s\n\n", markdown(strings.TrimSpace(s.Err+"\n"+s.Remedy)))
		}
		for _, w := range s.Warnings {
			fmt.Fprintf(out, "> Warning: %s\n\n", markdown(w))
		}
		writeEntries(out, v.of(i))
	}
	if v.Lost > 0 {
		fmt.Fprintf(out, "\n%d later entries were not kept.\n", v.Lost)
	}
	return out.Flush()
}

// times returns how long a step took and when it began.
func (v *traceView) times(s traceStep) string {
	if s.Status == missing {
		return ""
	}
	return fmt.Sprintf(" after %v, begun at %v", s.End.Sub(s.Begin).Round(time.Microsecond), s.Begin.Sub(v.Start).Round(time.Millisecond))
}

// attempt returns ", try 2" for a second attempt, and "" for the first.
func attempt(n int) string {
	if n <= 1 {
		return ""
	}
	return fmt.Sprintf(", try %d", n)
}

// writeEntries writes entries as a list.
func writeEntries(out io.Writer, entries []traceEntry) {
	for _, e := range entries {
		why := ""
		if e.Why != "" {
			why = " — " + e.Why
		}
		fmt.Fprintf(out, "- `%s` **%s** %v%s", strings.ReplaceAll(e.Name, "`", "'"), markdown(e.Result), e.End.Sub(e.Begin).Round(time.Microsecond), why)
		if sizes := e.sizes(); sizes != "" {
			fmt.Fprintf(out, "  \n  %s", sizes)
		}
		fmt.Fprintln(out)
		if e.Got.Text != "" {
			fmt.Fprintf(out, "  > %s\n", markdown(e.Got.Text))
		}
	}
}

// markdown returns text on one line, escaped so that nothing in it is markup.
func markdown(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "<", "&lt;", "[", "\\[").Replace(text)
}
