package evtx

import (
	"encoding/xml"
	"io"
	"iter"
	"strings"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// Limits of exports.
const (
	maxEventXML = 1 << 20 // bytes of one event
	maxLine     = 1 << 16 // bytes of one line of text
)

// ReadXML returns the events of an export as XML: Event elements, within an Events
// element or without one, as the event viewer and wevtutil write them. Damage comes
// as an [*Error] with a nil event and ends the log: it wraps [ErrFormat], [ErrLimit]
// for an event of more than a megabyte, io.ErrUnexpectedEOF if the file is cut off, or
// the error of r.
func ReadXML(r io.Reader) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		limited := &meter{r: wide.UTF8(r)}
		d := xml.NewDecoder(limited)
		d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // UTF8 did that
		d.Strict = false
		for {
			limited.left = maxEventXML
			token, err := d.Token()
			if err == io.EOF {
				return
			}
			var e *Element
			if start, ok := token.(xml.StartElement); ok && err == nil {
				if start.Name.Local != "Event" {
					continue
				}
				e, err = readElement(d, start, 0)
			}
			if err != nil {
				yield(nil, &Error{Chunk: -1, What: "XML", Err: xmlError(err)})
				return
			}
			if ev := EventOf(e); ev != nil && !yield(ev, nil) {
				return
			}
		}
	}
}

func xmlError(err error) error {
	if s, ok := err.(*xml.SyntaxError); ok {
		if strings.Contains(s.Msg, "unexpected EOF") {
			return io.ErrUnexpectedEOF
		}
		return ErrFormat
	}
	return eof(err)
}

// readElement reads an element that has begun.
func readElement(d *xml.Decoder, start xml.StartElement, depth int) (*Element, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	e := &Element{Name: start.Name.Local}
	for _, a := range start.Attr {
		e.Attrs = append(e.Attrs, Attr{a.Name.Local, a.Value})
	}
	var text strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			child, err := readElement(d, t, depth+1)
			if err != nil {
				return nil, err
			}
			e.Children = append(e.Children, child)
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if e.Text = text.String(); len(e.Children) > 0 {
				e.Text = strings.TrimSpace(e.Text)
			}
			return e, nil
		}
	}
}

// A meter fails after left bytes.
type meter struct {
	r    io.Reader
	left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, ErrLimit
	}
	n, err := m.r.Read(p)
	m.left -= n
	return n, err
}
