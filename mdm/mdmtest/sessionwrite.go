package mdmtest

import (
	"strconv"
	"strings"
)

// A syncWriter writes a message of the server.
type syncWriter struct {
	strings.Builder
	quirks SessionQuirks
	number int // of the last command or status
}

// nextID returns the next CmdID.
func (w *syncWriter) nextID() string {
	w.number++
	switch {
	case w.quirks.EmptyCmdIDs:
		return ""
	case w.quirks.SameCmdIDs:
		return "6"
	case w.quirks.GUIDs:
		return newGUID()
	}
	return strconv.Itoa(w.number)
}

// assign returns commands of which every one has a CmdID.
func (w *syncWriter) assign(commands []Command) []Command {
	own := append([]Command(nil), commands...)
	for i := range own {
		if own[i].ID == "" {
			own[i].ID = w.nextID()
		}
		own[i].Commands = w.assign(own[i].Commands)
	}
	return own
}

// text writes an element with a text.
func (w *syncWriter) text(name, value string) {
	w.WriteString("<" + name + ">" + escape(value) + "</" + name + ">")
	if w.quirks.Indented {
		w.WriteString("\n  ")
	}
}

// in writes an element and its content.
func (w *syncWriter) in(name string, content func()) {
	w.WriteString("<" + name + ">")
	if w.quirks.Indented {
		w.WriteString("\n  ")
	}
	content()
	w.WriteString("</" + name + ">")
	if w.quirks.Indented {
		w.WriteString("\n")
	}
}

// info writes an element of meta information, unless it is empty.
func (w *syncWriter) info(name, value string) {
	if value == "" {
		return
	}
	if w.quirks.Prefixes {
		w.WriteString(`<A:` + name + ` xmlns:A="syncml:metinf">` + escape(value) + `</A:` + name + `>`)
		return
	}
	w.WriteString(`<` + name + ` xmlns="syncml:metinf">` + escape(value) + `</` + name + `>`)
}

// An outgoing is a message of the server.
type outgoing struct {
	sessionID, msgID string
	target, source   string // LocURIs in the header
	maxSize          int    // MaxMsgSize; 0 for none
	statuses         []outStatus
	commands         []Command
}

// An outStatus is a Status of the server.
type outStatus struct {
	msgRef, cmdRef, cmd string
	code                int
	nonce               string // of a Chal, base64; "" for none
}

// message writes a message with its quirks.
func (w *syncWriter) message(m *outgoing) {
	attribute, space, id := "xmlns", "SYNCML:SYNCML1.2", "MsgID"
	target, source := m.target, m.source
	if w.quirks.NoNamespace {
		attribute = "xnlns"
	}
	if w.quirks.Namespace11 {
		space = "SYNCML:SYNCML1.1"
	}
	if w.quirks.MisspeltMsgID {
		id = "MsgId"
	}
	if w.quirks.SwapTargetSource {
		target, source = source, target
	}
	w.WriteString(`<?xml version="1.0" encoding="utf-8"?><SyncML ` + attribute + `="` + space + `">`)
	w.in("SyncHdr", func() {
		w.text("VerDTD", "1.2")
		w.text("VerProto", "DM/1.2")
		w.text("SessionID", m.sessionID)
		w.text(id, m.msgID)
		w.in("Target", func() { w.text("LocURI", target) })
		w.in("Source", func() { w.text("LocURI", source) })
		if m.maxSize > 0 {
			w.in("Meta", func() { w.info("MaxMsgSize", strconv.Itoa(m.maxSize)) })
		}
	})
	w.in("SyncBody", func() {
		for _, s := range m.statuses {
			w.status(s)
		}
		for _, c := range m.commands {
			w.command(c)
		}
		if !w.quirks.NoFinal {
			w.WriteString("<Final />")
		}
	})
	w.WriteString("</SyncML>")
}

func (w *syncWriter) status(s outStatus) {
	w.in("Status", func() {
		w.text("CmdID", w.nextID())
		w.text("MsgRef", s.msgRef)
		w.text("CmdRef", s.cmdRef)
		w.text("Cmd", s.cmd)
		if s.nonce != "" {
			w.in("Chal", func() {
				w.in("Meta", func() {
					w.info("Format", "b64")
					w.info("Type", "syncml:auth-md5")
					w.info("NextNonce", s.nonce)
				})
			})
		}
		w.text("Data", strconv.Itoa(s.code))
	})
}

func (w *syncWriter) command(c Command) {
	w.in(c.Verb, func() {
		w.text("CmdID", c.ID)
		if c.Data != "" {
			w.text("Data", c.Data)
		}
		for _, i := range c.Items {
			w.in("Item", func() { w.item(c, i) })
		}
		for _, inner := range c.Commands {
			w.command(inner)
		}
	})
}

func (w *syncWriter) item(c Command, i Item) {
	w.in("Target", func() { w.text("LocURI", i.Target) })
	if i.Format != "" {
		w.in("Meta", func() { w.info("Format", i.Format) })
	}
	if i.Markup {
		w.WriteString("<Data>" + i.Data + "</Data>")
		return
	}
	if c.Verb == "Add" || c.Verb == "Replace" || i.Data != "" {
		w.text("Data", i.Data)
	}
}
