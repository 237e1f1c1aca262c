package trace

import (
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"time"
)

// WriteHAR writes the HTTP exchanges as an HTTP Archive 1.2 in UTF-8, which the
// developer tools of browsers open. Steps are its pages. In place of a body stands
// its length and SHA-256, and of the headers only Content-Type and Retry-After are
// written. The error is that of w.
func (t *Trace) WriteHAR(w io.Writer) error {
	v := t.view()
	log := harLog{Version: "1.2", Creator: harCreator{"whiteglove", "1"}, Pages: []harPage{}, Entries: []harEntry{}}
	for i, s := range v.Steps {
		log.Pages = append(log.Pages, harPage{Started: harTime(s.Begin), ID: pageID(i), Title: string(s.Step) + attempt(s.Attempt), Timings: struct{}{}})
	}
	for _, e := range v.Entries {
		if e.HTTP != nil {
			log.Entries = append(log.Entries, harOf(e))
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(struct {
		Log harLog `json:"log"`
	}{log})
}

// The structures of HAR 1.2, with the members that WriteHAR writes.
type (
	harLog struct {
		Version string     `json:"version"`
		Creator harCreator `json:"creator"`
		Pages   []harPage  `json:"pages"`
		Entries []harEntry `json:"entries"`
	}
	harCreator struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	harPage struct {
		Started string   `json:"startedDateTime"`
		ID      string   `json:"id"`
		Title   string   `json:"title"`
		Timings struct{} `json:"pageTimings"`
	}
	harEntry struct {
		Page     string      `json:"pageref,omitempty"`
		Started  string      `json:"startedDateTime"`
		Time     float64     `json:"time"` // milliseconds
		Request  harRequest  `json:"request"`
		Response harResponse `json:"response"`
		Cache    struct{}    `json:"cache"`
		Timings  harTimings  `json:"timings"`
		Comment  string      `json:"comment,omitempty"`
	}
	harRequest struct {
		Method      string    `json:"method"`
		URL         string    `json:"url"`
		HTTPVersion string    `json:"httpVersion"`
		Cookies     []harPair `json:"cookies"`
		Headers     []harPair `json:"headers"`
		Query       []harPair `json:"queryString"`
		PostData    *harPost  `json:"postData,omitempty"`
		HeadersSize int       `json:"headersSize"`
		BodySize    int       `json:"bodySize"`
	}
	harResponse struct {
		Status      int        `json:"status"`
		StatusText  string     `json:"statusText"`
		HTTPVersion string     `json:"httpVersion"`
		Cookies     []harPair  `json:"cookies"`
		Headers     []harPair  `json:"headers"`
		Content     harContent `json:"content"`
		RedirectURL string     `json:"redirectURL"`
		HeadersSize int        `json:"headersSize"`
		BodySize    int        `json:"bodySize"`
		Comment     string     `json:"comment,omitempty"`
	}
	harPair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	harPost struct {
		MimeType string    `json:"mimeType"`
		Params   []harPair `json:"params"`
		Text     string    `json:"text"`
	}
	harContent struct {
		Size     int    `json:"size"`
		MimeType string `json:"mimeType"`
		Text     string `json:"text"`
	}
	harTimings struct {
		Send    float64 `json:"send"`
		Wait    float64 `json:"wait"`
		Receive float64 `json:"receive"`
	}
)

// harTime returns a time as HAR writes it: ISO 8601 with milliseconds.
func harTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// pageID returns the identifier of the page that stands for a step.
func pageID(step int) string { return "step-" + strconv.Itoa(step+1) }

// unknownSize stands for a size that is not known.
const unknownSize = -1

// harOf returns an exchange as HAR writes it.
func harOf(e traceEntry) harEntry {
	ms := float64(e.End.Sub(e.Begin).Microseconds()) / 1000
	h := harEntry{
		Started: harTime(e.Begin), Time: ms, Timings: harTimings{Wait: ms}, Comment: e.Why,
		Request: harRequest{
			Method: e.HTTP.Method, URL: e.HTTP.URL, HTTPVersion: e.HTTP.Proto, Cookies: []harPair{}, Headers: headers(e.Sent, ""),
			Query: query(e.HTTP.URL), HeadersSize: unknownSize, BodySize: e.Sent.Bytes,
		},
		Response: harResponse{
			Status: e.HTTP.Status, StatusText: e.HTTP.StatusText, HTTPVersion: e.HTTP.Proto, Cookies: []harPair{}, Headers: headers(e.Got, e.HTTP.RetryAfter),
			Content:     harContent{Size: e.Got.Bytes, MimeType: e.Got.Type, Text: e.Got.shown()},
			HeadersSize: unknownSize, BodySize: e.Got.Bytes,
		},
	}
	if e.Step >= 0 {
		h.Page = pageID(e.Step)
	}
	if e.Sent.Bytes > 0 {
		h.Request.PostData = &harPost{MimeType: e.Sent.Type, Params: []harPair{}, Text: e.Sent.shown()}
	}
	if e.HTTP.Status == 0 {
		h.Response.Comment = e.Result // there was no answer
	}
	return h
}

// shown returns the text of a message or, if it was not kept, what stands for it.
func (m message) shown() string {
	if m.Text != "" || m.Bytes == 0 {
		return m.Text
	}
	return m.String()
}

// headers returns the headers of a message that are written.
func headers(m message, retryAfter string) []harPair {
	pairs := []harPair{}
	if m.Type != "" {
		pairs = append(pairs, harPair{"Content-Type", m.Type})
	}
	if retryAfter != "" {
		pairs = append(pairs, harPair{"Retry-After", retryAfter})
	}
	return pairs
}

// query returns the query parameters of a URL.
func query(raw string) []harPair {
	pairs := []harPair{}
	u, err := url.Parse(raw)
	if err != nil {
		return pairs
	}
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, harPair{name, v})
		}
	}
	return pairs
}
