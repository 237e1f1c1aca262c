package syncml

import (
	"encoding/xml"
	"strconv"
	"strings"
)

// A writer writes elements without white space between them.
type writer struct{ strings.Builder }

// Marshal returns the message in XML, in the form that Windows writes. It
// writes neither RespURI, NoID, NoResp, MoreData nor Scope, and
// escapes all of Data. Names of commands are written as
// they are.
func (m *Message) Marshal() []byte {
	w := new(writer)
	w.WriteString(`<SyncML xmlns="` + Namespace12 + `">`)
	w.in("SyncHdr", func() { w.header(m) })
	w.in("SyncBody", func() {
		for _, c := range m.Commands {
			w.command(c)
		}
		if m.Final {
			w.WriteString("<Final/>")
		}
	})
	w.WriteString("</SyncML>")
	return []byte(w.String())
}

// header writes the content of SyncHdr.
func (w *writer) header(m *Message) {
	w.text("VerDTD", "1.2")
	w.text("VerProto", "DM/1.2")
	w.text("SessionID", m.SessionID)
	w.text("MsgID", m.ID)
	w.in("Target", func() { w.text("LocURI", m.Target) })
	w.in("Source", func() {
		w.text("LocURI", m.Source)
		w.optional("LocName", m.SourceName)
	})
	if m.Cred != nil {
		w.in("Cred", func() {
			w.meta(m.Cred.Meta)
			w.text("Data", m.Cred.Data)
		})
	}
	if m.MaxMsgSize > 0 {
		w.in("Meta", func() { w.info("MaxMsgSize", strconv.Itoa(m.MaxMsgSize)) })
	}
}

// command writes a command, its parts in the order of the DTD.
func (w *writer) command(c *Command) {
	w.in(c.Name, func() {
		w.text("CmdID", c.ID)
		w.optional("MsgRef", c.MsgRef)
		if c.MsgRef != "" { // CmdRef may be empty, as the CmdID that it names
			w.text("CmdRef", c.CmdRef)
		}
		w.optional("Cmd", c.Cmd)
		for _, t := range c.Targets {
			w.text("TargetRef", t)
		}
		for _, s := range c.Sources {
			w.text("SourceRef", s)
		}
		w.meta(c.Meta)
		if c.Chal != nil {
			w.in("Chal", func() { w.meta(*c.Chal) })
		}
		w.optional("Data", c.Data)
		for _, i := range c.Items {
			w.item(i)
		}
		for _, inner := range c.Commands {
			w.command(inner)
		}
	})
}

// item writes an Item, which always has Data.
func (w *writer) item(i *Item) {
	w.in("Item", func() {
		if i.Target != "" {
			w.in("Target", func() { w.text("LocURI", i.Target) })
		}
		if i.Source != "" {
			w.in("Source", func() { w.text("LocURI", i.Source) })
		}
		w.meta(i.Meta)
		w.text("Data", i.Data)
	})
}

// meta writes a Meta, unless it is empty.
func (w *writer) meta(m Meta) {
	if m == (Meta{}) {
		return
	}
	w.in("Meta", func() {
		w.info("Format", m.Format)
		w.info("Type", m.Type)
		w.info("Mark", m.Mark)
		w.info("NextNonce", m.NextNonce)
	})
}

// in writes an element around content.
func (w *writer) in(name string, content func()) {
	w.WriteString("<" + name + ">")
	content()
	w.WriteString("</" + name + ">")
}

// text writes an element with a text.
func (w *writer) text(name, value string) {
	w.in(name, func() { _ = xml.EscapeText(w, []byte(value)) }) // a Builder does not fail
}

// optional writes an element with a text, unless that is empty.
func (w *writer) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

// info writes an element in the namespace of meta information, unless it is
// empty.
func (w *writer) info(name, value string) {
	if value == "" {
		return
	}
	w.WriteString("<" + name + ` xmlns="` + NamespaceMI + `">`)
	_ = xml.EscapeText(w, []byte(value))
	w.WriteString("</" + name + ">")
}
