package syncml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/xmltree"
)

// ErrNotSyncML means that XML is not a SyncML message but something else. Parse
// wraps it.
var ErrNotSyncML = errors.New("not a SyncML message")

// Parse reads a message in UTF-8 or UTF-16 of at most [MaxSize] bytes, 50000 elements, 10000
// commands and items, and [xmltree.MaxDepth] levels. It compares names without namespace and in any
// letter case. An unknown element in the body becomes a Command of that name.
// Data after the first element is ignored.
//
// The error is of no exported type. It wraps [ErrNotSyncML] if data is other
// XML. A message without SyncHdr or SyncBody is an error, too.
func Parse(data []byte) (*Message, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("syncml: message of more than %d bytes", MaxSize)
	}
	root, err := xmltree.Parse(xmltree.Decode(data), maxElements)
	if err != nil {
		return nil, fmt.Errorf("syncml: %w", err)
	}
	if !root.Is("SyncML") {
		return nil, fmt.Errorf("syncml: %w but a <%.40s>", ErrNotSyncML, root.Name)
	}
	header, body := root.At("SyncHdr"), root.At("SyncBody")
	if header == nil || body == nil {
		return nil, errors.New("syncml: a message without SyncHdr or SyncBody")
	}
	m := readHeader(header)
	for _, c := range body.Children {
		if c.Is("Final") {
			m.Final = true
			continue
		}
		m.Commands = append(m.Commands, readCommand(c))
	}
	if count(m.Commands) > maxCommands {
		return nil, fmt.Errorf("syncml: a message with more than %d commands and items", maxCommands)
	}
	return m, nil
}

// count returns the number of commands and of the commands and items in them.
func count(commands []*Command) int {
	n := len(commands)
	for _, c := range commands {
		n += len(c.Items) + count(c.Commands)
	}
	return n
}

// readHeader reads a SyncHdr. A MaxMsgSize that is no number counts as none.
func readHeader(e *xmltree.Element) *Message {
	m := &Message{
		SessionID: e.Value("SessionID"), ID: e.Value("MsgID"),
		Target: e.Value("Target", "LocURI"), Source: e.Value("Source", "LocURI"), SourceName: e.Value("Source", "LocName"),
		RespURI: e.Value("RespURI"),
	}
	if size, err := strconv.ParseUint(e.Value("Meta", "MaxMsgSize"), 10, 31); err == nil {
		m.MaxMsgSize = int(size)
	}
	if c := e.At("Cred"); c != nil {
		m.Cred = &Cred{Meta: readMeta(c.At("Meta")), Data: c.Value("Data")}
	}
	return m
}

// commandName returns the name of a known command for the same in any letter case, and
// that of another as it is.
func commandName(name string) string {
	switch strings.ToLower(name) {
	case "add":
		return Add
	case "alert":
		return Alert
	case "atomic":
		return Atomic
	case "delete":
		return Delete
	case "exec":
		return Exec
	case "get":
		return Get
	case "replace":
		return Replace
	case "results":
		return Results
	case "sequence":
		return Sequence
	case "status":
		return Status
	}
	return name
}

// readCommand reads an element of the body, with the commands in it.
func readCommand(e *xmltree.Element) *Command {
	c := &Command{Name: commandName(e.Name), NoID: e.At("CmdID") == nil}
	for _, f := range e.Children {
		switch strings.ToLower(f.Name) {
		case "cmdid":
			c.ID = f.Value()
		case "msgref":
			c.MsgRef = f.Value()
		case "cmdref":
			c.CmdRef = f.Value()
		case "cmd":
			c.Cmd = f.Value()
		case "targetref":
			c.Targets = append(c.Targets, f.Value())
		case "sourceref":
			c.Sources = append(c.Sources, f.Value())
		case "data":
			c.Data = f.Value()
		case "noresp":
			c.NoResp = true
		case "meta":
			c.Meta = readMeta(f)
		case "chal":
			chal := readMeta(f.At("Meta"))
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

// readItem reads an Item.
func readItem(e *xmltree.Element) *Item {
	i := &Item{
		Target: e.Value("Target", "LocURI"), Source: e.Value("Source", "LocURI"),
		Meta: readMeta(e.At("Meta")), MoreData: e.At("MoreData") != nil,
	}
	if d := e.At("Data"); d != nil {
		i.Data = string(d.Text)
		if len(d.Children) > 0 {
			i.Data, i.Scope = string(d.Inner), d.Scope
		}
	}
	return i
}

// readMeta reads a Meta, which may be nil.
func readMeta(e *xmltree.Element) Meta {
	return Meta{Format: e.Value("Format"), Type: e.Value("Type"), Mark: e.Value("Mark"), NextNonce: e.Value("NextNonce")}
}
