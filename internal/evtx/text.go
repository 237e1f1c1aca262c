package evtx

import (
	"bufio"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/internal/wide"
)

// ReadText returns the events of an export as text: blocks of lines "key: value", as
// wevtutil writes them with /f:text, and PowerShell's Format-List from Get-WinEvent;
// or rows of level, time, source, number, category and message between tabs or commas,
// as the event viewer writes them. Keys must be in English, rows may be in any
// language. What is no event is passed over. Of a date that may be American or
// European it takes the first. The only error is an [*Error] with the error of r.
//
// Lines are cut at 64 kB, messages at a megabyte.
func ReadText(r io.Reader) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		t := &textReader{yield: yield}
		b := bufio.NewReaderSize(wide.UTF8(r), maxLine)
		for {
			line, err := b.ReadSlice('\n')
			if len(line) > 0 && !t.line(strings.TrimRight(string(line), "\r\n")) {
				return
			}
			switch {
			case err == bufio.ErrBufferFull:
				for err == bufio.ErrBufferFull {
					_, err = b.ReadSlice('\n')
				}
			case err == io.EOF || err == io.ErrUnexpectedEOF:
				t.flush()
				return
			case err != nil:
				if t.flush() {
					yield(nil, &Error{Chunk: -1, What: "text", Err: err})
				}
				return
			}
		}
	}
}

type textReader struct {
	yield   func(*Event, error) bool
	event   *Event
	message strings.Builder
	body    bool // within the message
	row     bool // the event is a row
	events  uint64
}

// line takes a line. It reports whether to go on.
func (t *textReader) line(line string) bool {
	if m := textRow.FindStringSubmatch(line[:min(len(line), maxRow)]); m != nil {
		if !t.flush() {
			return false
		}
		t.event, t.row, t.body = &Event{Level: levels[m[1]], Provider: m[3], ID: number(m[4])}, true, true
		t.event.Time, t.event.Local = textTime(m[2])
		t.add(strings.Trim(line[len(m[0]):], `",`+"\t"))
		return true
	}
	if t.row {
		t.add(strings.TrimRight(line, `"`))
		return true
	}
	key, value, found := strings.Cut(line, ":")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if begins := strings.HasPrefix(key, "Event[") && value == ""; found && (begins || key == "TimeCreated" || key == "Log Name") {
		if begins || t.event == nil || t.event.ID != 0 {
			if !t.flush() {
				return false
			}
			t.event = &Event{}
		}
		t.body = false
	}
	switch {
	case t.event == nil:
		return true
	case t.body && (!found || !textKeys[key] || strings.TrimSpace(t.message.String()) == ""):
		t.add(line)
		return true
	case !found:
		return true
	}
	t.body = false
	switch key {
	case "Log Name", "LogName":
		t.event.Channel = value
	case "Source", "ProviderName":
		t.event.Provider = value
	case "Date", "TimeCreated":
		t.event.Time, t.event.Local = textTime(value)
	case "Event ID", "Id":
		t.event.ID = number(value)
	case "RecordId":
		n, _ := strconv.ParseUint(value, 10, 64)
		t.event.Record = n
	case "Level", "LevelDisplayName":
		t.event.Level = levels[value]
	case "User", "UserId":
		t.event.User = value
	case "Computer", "MachineName":
		t.event.Computer = value
	case "Description", "Message":
		t.body = true
		t.add(value)
	}
	return true
}

// textKeys are those that end a message.
var textKeys = map[string]bool{
	"Log Name": true, "LogName": true, "Source": true, "ProviderName": true, "Date": true, "TimeCreated": true, "Event ID": true, "Id": true,
	"RecordId": true, "LevelDisplayName": true, "UserId": true, "MachineName": true, "ProcessId": true, "ThreadId": true, "ActivityId": true,
	"ProviderId": true, "OpcodeDisplayName": true, "TaskDisplayName": true, "KeywordsDisplayNames": true, "ContainerLog": true,
}

var levels = map[string]int{"Critical": 1, "Error": 2, "Warning": 3, "Information": 4, "Verbose": 5}

func (t *textReader) add(line string) {
	if t.message.Len() < maxEventXML {
		t.message.WriteString(strings.TrimSpace(line) + "\n")
	}
}

// flush yields the event that was read. It reports whether to go on.
func (t *textReader) flush() bool {
	ev := t.event
	t.event, t.body, t.row = nil, false, false
	message := strings.TrimSpace(t.message.String())
	t.message.Reset()
	if ev == nil || ev.ID == 0 {
		return true
	}
	t.events++
	if ev.Record == 0 {
		ev.Record = t.events
	}
	ev.Message = message
	return t.yield(ev, nil)
}

// textRow is a row of the event viewer's text (with tabs) or list (with commas).
var textRow = regexp.MustCompile(`^"?([^\t,"]{1,40})"?[\t,]"?([^\t,"]*\d:\d\d:\d\d[^\t,"]*)"?[\t,]"?([^\t,"]{3,100})"?[\t,]"?(\d{1,5})"?[\t,]"?[^\t,"]*"?`)

const maxRow = 400 // bytes of a row before its message

// textTime returns a time, or the zero Time, and whether it has no zone.
func textTime(s string) (t time.Time, local bool) {
	for i, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
		"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "2/1/2006 15:04:05", "2.1.2006 15:04:05",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), i > 0
		}
	}
	return time.Time{}, false
}
