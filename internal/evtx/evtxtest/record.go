package evtxtest

import "fmt"

const none = 0xFFFF // no value that an element depends on

// record appends a record. It reports false, and appends nothing, if the chunk is
// full.
func (w *chunk) record(number uint64, e *Event) bool {
	save := *w
	names, templates := clone(w.names), clone(w.templates)
	at := len(w.buf)
	w.u32(0x2A2A)
	w.u32(0)
	w.u64(number)
	w.u64(filetime(e.Time))
	w.event(number, e)
	w.u8(0) // the end of the fragment
	for len(w.buf)%8 != 4 {
		w.u8(0)
	}
	size := len(w.buf) + 4 - at
	w.u32(uint32(size))
	w.buf[at+4], w.buf[at+5], w.buf[at+6] = byte(size), byte(size>>8), byte(size>>16)
	if len(w.buf) > chunkSize {
		*w = save
		w.buf, w.names, w.templates = w.buf[:at], names, templates
		return false
	}
	w.lastRecord = at
	return true
}

func clone(m map[string]uint32) map[string]uint32 {
	c := map[string]uint32{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// event writes an event as Windows does: one template for System, and the data of
// the event as a value of it.
func (w *chunk) event(number uint64, e *Event) {
	data := any(func() { w.data(e) })
	if e.Data == nil && e.UserData == "" {
		data = nil
	}
	system := func() {
		w.element("Event", none, []attr{{"xmlns", "http://schemas.microsoft.com/win/2004/08/events/event"}}, func() {
			w.element("System", none, nil, func() {
				w.element("Provider", none, []attr{{"Name", sub{0, 1, true}}, {"Guid", sub{1, 15, true}}}, nil)
				field := func(name string, i int, kind byte) {
					w.element(name, i, nil, func() { w.sub(sub{i, kind, true}) })
				}
				w.element("EventID", 3, []attr{{"Qualifiers", sub{4, 6, true}}}, func() { w.sub(sub{3, 6, true}) })
				field("Version", 11, 4)
				field("Level", 5, 4)
				field("Keywords", 6, 0x15)
				w.element("TimeCreated", none, []attr{{"SystemTime", sub{7, 17, true}}}, nil)
				field("EventRecordID", 8, 10)
				w.element("Correlation", none, []attr{{"ActivityID", sub{1, 15, true}}}, nil)
				w.element("Execution", none, []attr{{"ProcessID", sub{12, 8, true}}, {"ThreadID", sub{12, 8, true}}}, nil)
				field("Channel", 9, 1)
				field("Computer", 10, 1)
				w.element("Security", none, []attr{{"UserID", sub{13, 19, true}}}, nil)
			})
			w.sub(sub{2, 0x21, true})
		})
	}
	system18 := SID{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}
	w.instance("system", system, []any{
		e.Provider, nil, data, e.ID, nil, e.Level, Hex64(0x8000000000000000), e.Time, number, e.Channel, e.Computer,
		uint8(0), uint32(1234), system18,
	})
}

// data writes EventData or UserData, as a template of the names and types.
func (w *chunk) data(e *Event) {
	key := "data"
	var values []any
	for _, d := range e.Data {
		key += fmt.Sprintf("|%s %T", d.Name, d.Value)
		values = append(values, d.Value)
	}
	body := func() {
		for i, d := range e.Data {
			name, attrs := "Data", []attr{{"Name", d.Name}}
			if d.Name == "" {
				attrs = nil
			}
			if e.UserData != "" {
				name, attrs = d.Name, nil
			}
			w.element(name, none, attrs, func() { w.sub(sub{i, kindOf(d.Value), false}) })
		}
	}
	w.instance(key+"|"+e.UserData, func() {
		if e.UserData == "" {
			w.element("EventData", none, nil, body)
			return
		}
		w.element("UserData", none, nil, func() { w.element(e.UserData, none, nil, body) })
	}, values)
	w.u8(0)
}

// kindOf returns the type of a value.
func kindOf(v any) byte { return newChunk().value(v) }
