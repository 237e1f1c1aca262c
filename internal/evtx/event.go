package evtx

import (
	"strconv"
	"strings"
	"time"
)

// An Event is what an event says. A zero field means that the log does not tell.
type Event struct {
	Provider string
	ID       int
	Level    int // 1 critical, 2 error, 3 warning, 4 information, 5 verbose
	Time     time.Time
	Local    bool // Time has no zone: it is local, given as UTC
	Record   uint64
	Channel  string
	Computer string
	Process  int
	User     string // security identifier
	Data     []Field
	Message  string // the rendered text, which only exports have
}

// A Field is a value that the provider logged. Classic events have no names.
type Field struct{ Name, Value string }

// Value returns the value of a field, or "".
func (ev *Event) Value(name string) string {
	for _, f := range ev.Data {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// maxFields is how many values of an event are kept.
const maxFields = 1000

// EventOf returns the event of an Event element, or nil if e is not one.
func EventOf(e *Element) *Event {
	system := e.Child("System")
	if e == nil || e.Name != "Event" || system == nil {
		return nil
	}
	ev := &Event{
		Provider: system.Child("Provider").Attr("Name"),
		ID:       number(system.text("EventID")),
		Level:    number(system.text("Level")),
		Time:     parseTime(system.Child("TimeCreated").Attr("SystemTime")),
		Record:   uint64(number(system.text("EventRecordID"))),
		Channel:  system.text("Channel"),
		Computer: system.text("Computer"),
		Process:  number(system.Child("Execution").Attr("ProcessID")),
		User:     system.Child("Security").Attr("UserID"),
		Message:  strings.TrimSpace(e.Child("RenderingInfo").text("Message")),
	}
	if ev.Provider == "" {
		ev.Provider = system.Child("Provider").Attr("EventSourceName")
	}
	for _, c := range e.Children {
		switch c.Name {
		case "EventData":
			ev.fields(c, false)
		case "UserData", "ProcessingErrorData", "DebugData":
			ev.fields(c, true)
		}
	}
	return ev
}

// fields appends the values of the children of e: of Data elements, or of all that
// have none themselves.
func (ev *Event) fields(e *Element, all bool) {
	for _, c := range e.Children {
		switch {
		case len(ev.Data) >= maxFields:
			return
		case len(c.Children) > 0 && all:
			ev.fields(c, true)
		case c.Attr("Name") != "":
			ev.Data = append(ev.Data, Field{c.Attr("Name"), c.Text})
		case all || c.Name != "Data":
			ev.Data = append(ev.Data, Field{c.Name, c.Text})
		default:
			ev.Data = append(ev.Data, Field{"", c.Text})
		}
	}
}

func number(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(s))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
