package mdmtest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"
	"strconv"
)

// A syncMessage is a message of a device, in the one namespace. Elements that
// may appear once are slices, so that repetitions are noticed.
type syncMessage struct {
	XMLName xml.Name `xml:"SYNCML:SYNCML1.2 SyncML"`
	Header  []struct {
		VerDTD    string      `xml:"SYNCML:SYNCML1.2 VerDTD"`
		VerProto  string      `xml:"SYNCML:SYNCML1.2 VerProto"`
		SessionID string      `xml:"SYNCML:SYNCML1.2 SessionID"`
		MsgID     string      `xml:"SYNCML:SYNCML1.2 MsgID"`
		Target    syncPlace   `xml:"SYNCML:SYNCML1.2 Target"`
		Source    syncPlace   `xml:"SYNCML:SYNCML1.2 Source"`
		Cred      []syncCred  `xml:"SYNCML:SYNCML1.2 Cred"`
		Other     []syncOther `xml:",any"`
	} `xml:"SYNCML:SYNCML1.2 SyncHdr"`
	Body []struct {
		Commands []syncCommand `xml:",any"`
	} `xml:"SYNCML:SYNCML1.2 SyncBody"`
}

type syncOther struct{ XMLName xml.Name }

type syncPlace struct {
	URI  string `xml:"SYNCML:SYNCML1.2 LocURI"`
	Name string `xml:"SYNCML:SYNCML1.2 LocName"`
}

type syncMeta struct {
	Format string `xml:"syncml:metinf Format"`
	Type   string `xml:"syncml:metinf Type"`
}

type syncCred struct {
	Meta syncMeta `xml:"SYNCML:SYNCML1.2 Meta"`
	Data string   `xml:"SYNCML:SYNCML1.2 Data"`
}

type syncCommand struct {
	XMLName xml.Name
	CmdID   []string   `xml:"SYNCML:SYNCML1.2 CmdID"`
	MsgRef  []string   `xml:"SYNCML:SYNCML1.2 MsgRef"`
	CmdRef  []string   `xml:"SYNCML:SYNCML1.2 CmdRef"`
	Cmd     []string   `xml:"SYNCML:SYNCML1.2 Cmd"`
	Targets []string   `xml:"SYNCML:SYNCML1.2 TargetRef"`
	Data    []string   `xml:"SYNCML:SYNCML1.2 Data"`
	Items   []syncItem `xml:"SYNCML:SYNCML1.2 Item"`
}

type syncItem struct {
	Source syncPlace `xml:"SYNCML:SYNCML1.2 Source"`
	Meta   syncMeta  `xml:"SYNCML:SYNCML1.2 Meta"`
	Data   syncData  `xml:"SYNCML:SYNCML1.2 Data"`
}

// A syncData is a value, which may have elements in it.
type syncData struct {
	Text  string      `xml:",chardata"`
	Inner string      `xml:",innerxml"`
	Other []syncOther `xml:",any"`
}

// value returns the text or, if there are elements in it, all of it.
func (d *syncData) value() string {
	if len(d.Other) > 0 {
		return d.Inner
	}
	return d.Text
}

// name returns the local name of a command.
func (c *syncCommand) name() string { return c.XMLName.Local }

// data returns the one Data of a command, or "".
func (c *syncCommand) data() string { return only(c.Data) }

// only returns the one text in a list, or "".
func only(list []string) string {
	if len(list) != 1 {
		return ""
	}
	return list[0]
}

var sessionID = regexp.MustCompile(`^[0-9A-Za-z]{1,4}$`)

// readSync reads a message of a device. It checks the header, that every
// command has a number, and that Final comes last. Only the first message needs
// a Final, because some clients leave it out of their answers. If loose is set,
// the message may be in no namespace.
func readSync(data []byte, loose bool) (*syncMessage, error) {
	if err := walk(data); err != nil {
		return nil, err
	}
	if loose {
		data = bytes.Replace(data, []byte("<SyncML>"), []byte(`<SyncML xmlns="SYNCML:SYNCML1.2">`), 1)
	}
	m := new(syncMessage)
	if err := xml.Unmarshal(data, m); err != nil {
		return nil, err
	}
	if len(m.Header) != 1 || len(m.Body) != 1 {
		return nil, fmt.Errorf("%d headers and %d bodies", len(m.Header), len(m.Body))
	}
	h, commands := m.Header[0], m.Body[0].Commands
	switch {
	case h.VerDTD != "1.2" || h.VerProto != "DM/1.2":
		return nil, fmt.Errorf("versions %.20q and %.20q", h.VerDTD, h.VerProto)
	case !sessionID.MatchString(h.SessionID):
		return nil, fmt.Errorf("SessionID %.40q", h.SessionID)
	case len(h.Other) > 0:
		return nil, fmt.Errorf("<%.40s> in the header", h.Other[0].XMLName.Local)
	case len(h.Cred) > 1:
		return nil, fmt.Errorf("%d Cred", len(h.Cred))
	case len(commands) > 0 && commands[len(commands)-1].name() == "Final":
		m.Body[0].Commands = commands[:len(commands)-1]
	case len(commands) == 0 || h.MsgID == "1":
		return nil, fmt.Errorf("no Final at the end")
	}
	return m, checkNumbers(m.Body[0].Commands)
}

// checkNumbers checks that no two commands have the same CmdID.
func checkNumbers(commands []syncCommand) error {
	seen := make(map[string]bool)
	for _, c := range commands {
		id := only(c.CmdID)
		_, err := strconv.ParseUint(id, 10, 31)
		switch {
		case c.XMLName.Space != "SYNCML:SYNCML1.2":
			return fmt.Errorf("<%.40s> is in namespace %.60q", c.name(), c.XMLName.Space)
		case err != nil || seen[id]:
			return fmt.Errorf("<%.40s> has CmdID %.40q", c.name(), id)
		}
		seen[id] = true
	}
	return nil
}

var threeDigits = regexp.MustCompile(`^[2-5][0-9][0-9]$`)

// checkFirst checks the commands of the first message of a session. It returns
// the type and data of each generic alert, as "type=data". If loose is set, alerts
// 1201 and 1224 may be missing.
func checkFirst(commands []syncCommand, deviceID string, loose bool) ([]string, error) {
	var generic []string
	begun, login := 0, false
	var info *syncCommand
	for i, c := range commands {
		switch c.name() + c.data() {
		case "Alert1201":
			begun++
		case "Alert1224":
			if len(c.Items) != 1 {
				return nil, fmt.Errorf("an alert 1224 with %d items", len(c.Items))
			}
			if c.Items[0].Meta.Type == "com.microsoft/MDM/LoginStatus" {
				login = map[string]bool{"user": true, "others": true, "none": true}[c.Items[0].Data.value()]
			}
		case "Alert1226":
			if len(c.Items) != 1 || c.Items[0].Meta.Type == "" {
				return nil, fmt.Errorf("an alert 1226 without a type")
			}
			generic = append(generic, c.Items[0].Meta.Type+"="+c.Items[0].Data.value())
		case "Replace":
			info = &commands[i]
		default:
			return nil, fmt.Errorf("<%.40s> %.40s in the first message", c.name(), c.data())
		}
	}
	switch {
	case begun != 1 && !loose:
		return nil, fmt.Errorf("%d alerts 1201", begun)
	case !login && !loose:
		return nil, fmt.Errorf("no LoginStatus")
	case info == nil:
		return nil, fmt.Errorf("no DevInfo")
	}
	return generic, checkInfo(info, deviceID)
}

// checkInfo checks that a Replace has the five nodes of DevInfo for the device.
// It may have others, such as the HWDevID of some builds of Windows.
func checkInfo(c *syncCommand, deviceID string) error {
	have := make(map[string]string)
	for _, i := range c.Items {
		have[i.Source.URI] = i.Data.value()
	}
	for _, name := range []string{"DevId", "Man", "Mod", "DmV", "Lang"} {
		if have["./DevInfo/"+name] == "" {
			return fmt.Errorf("no ./DevInfo/%s", name)
		}
	}
	if deviceKey(have["./DevInfo/DevId"]) != deviceKey(deviceID) {
		return fmt.Errorf("DevInfo of %.80q", have["./DevInfo/DevId"])
	}
	return nil
}
