package syncml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrNotSyncML is for XML that is something else.
var ErrNotSyncML = errors.New("not a SyncML message")

// Parse reads a message of at most [MaxSize] bytes. Names are compared without
// namespace and in any case; what it does not know in the body becomes a
// Command of that name. A message without SyncHdr or SyncBody is an error.
func Parse(data []byte) (*Message, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("syncml: message of more than %d bytes", MaxSize)
	}
	root, err := parseXML(data)
	if err != nil {
		return nil, fmt.Errorf("syncml: %w", err)
	}
	if !root.is("SyncML") {
		return nil, fmt.Errorf("syncml: %w but a <%.40s>", ErrNotSyncML, root.name)
	}
	header, body := root.child("SyncHdr"), root.child("SyncBody")
	if header == nil || body == nil {
		return nil, errors.New("syncml: a message without SyncHdr or SyncBody")
	}
	m := readHeader(header)
	for _, c := range body.children {
		if c.is("Final") {
			m.Final = true
			continue
		}
		m.Commands = append(m.Commands, readCommand(c))
	}
	return m, nil
}

func readHeader(e *element) *Message {
	m := &Message{
		SessionID: e.value("SessionID"), ID: e.value("MsgID"),
		Target: e.value("Target", "LocURI"), Source: e.value("Source", "LocURI"), SourceName: e.value("Source", "LocName"),
	}
	if size, err := strconv.ParseUint(e.value("Meta", "MaxMsgSize"), 10, 31); err == nil {
		m.MaxMsgSize = int(size)
	}
	if c := e.child("Cred"); c != nil {
		m.Cred = &Cred{Meta: readMeta(c.child("Meta")), Data: c.value("Data")}
	}
	return m
}

// names are the known commands by their names in lower case.
var names = func() map[string]string {
	all := make(map[string]string)
	for _, n := range []string{Add, Alert, Atomic, Delete, Exec, Get, Replace, Results, Sequence, Status} {
		all[strings.ToLower(n)] = n
	}
	return all
}()

func readCommand(e *element) *Command {
	c := &Command{Name: e.name}
	if known, ok := names[strings.ToLower(e.name)]; ok {
		c.Name = known
	}
	for _, f := range e.children {
		switch strings.ToLower(f.name) {
		case "cmdid":
			c.ID = f.value()
		case "msgref":
			c.MsgRef = f.value()
		case "cmdref":
			c.CmdRef = f.value()
		case "cmd":
			c.Cmd = f.value()
		case "targetref":
			c.Targets = append(c.Targets, f.value())
		case "sourceref":
			c.Sources = append(c.Sources, f.value())
		case "data":
			c.Data = f.value()
		case "noresp":
			c.NoResp = true
		case "meta":
			c.Meta = readMeta(f)
		case "chal":
			chal := readMeta(f.child("Meta"))
			c.Chal = &chal
		case "item":
			c.Items = append(c.Items, readItem(f))
		default:
			if c.Name == Atomic || c.Name == Sequence {
				c.Commands = append(c.Commands, readCommand(f))
			}
		}
	}
	return c
}

func readItem(e *element) *Item {
	i := &Item{
		Target: e.value("Target", "LocURI"), Source: e.value("Source", "LocURI"),
		Meta: readMeta(e.child("Meta")), MoreData: e.child("MoreData") != nil,
	}
	if d := e.child("Data"); d != nil {
		i.Data, i.Markup = string(d.text), len(d.children) > 0
	}
	return i
}

func readMeta(e *element) Meta {
	return Meta{Format: e.value("Format"), Type: e.value("Type"), Mark: e.value("Mark"), NextNonce: e.value("NextNonce")}
}
