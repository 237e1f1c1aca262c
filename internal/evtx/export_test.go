package evtx

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const exportedXML = `<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<Events><Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-User Device Registration' Guid='{23b8d46b-67dd-40a3-b636-d43e50552c6d}'/><EventID>204</EventID><Version>0</Version><Level>2</Level><TimeCreated SystemTime='2026-11-28T13:57:44.1234567Z'/><EventRecordID>77</EventRecordID><Execution ProcessID='12' ThreadID='13'/><Channel>Microsoft-Windows-User Device Registration/Admin</Channel><Computer>DESKTOP-0000001</Computer><Security UserID='S-1-5-18'/></System><EventData><Data Name='ExitCode'>-2145647638</Data><Data>unnamed &amp; more</Data></EventData><RenderingInfo Culture='de-DE'><Message>Fehler.
Code 0x801c03ea</Message><Level>Fehler</Level></RenderingInfo></Event>
<Event><System><EventID>2</EventID></System></Event></Events>`

func collect(seq func(func(*Event, error) bool)) (events []*Event, err error) {
	for ev, e := range seq {
		if e != nil {
			return events, e
		}
		events = append(events, ev)
	}
	return events, nil
}

func utf16Bytes(s string, big bool) []byte {
	b := []byte{0xFF, 0xFE}
	if big {
		b = []byte{0xFE, 0xFF}
	}
	for _, r := range s {
		for _, u := range surrogates(r) {
			if big {
				b = append(b, byte(u>>8), byte(u))
			} else {
				b = append(b, byte(u), byte(u>>8))
			}
		}
	}
	return b
}

func surrogates(r rune) []rune {
	if r < 0x10000 {
		return []rune{r}
	}
	r -= 0x10000
	return []rune{0xD800 + r>>10, 0xDC00 + r&0x3FF}
}

func TestReadXML(t *testing.T) {
	for name, in := range map[string][]byte{
		"utf-8": []byte(exportedXML), "bom": []byte("\xEF\xBB\xBF" + exportedXML),
		"utf-16": utf16Bytes(exportedXML, false), "utf-16 big": utf16Bytes(exportedXML, true),
		"no root":         []byte(exportedXML[strings.Index(exportedXML, "<Event "):strings.Index(exportedXML, "</Events>")]),
		"declares UTF-16": []byte(strings.Replace(exportedXML, "utf-8", "utf-16", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			events, err := collect(ReadXML(iotest.HalfReader(bytes.NewReader(in))))
			if err != nil || len(events) != 2 {
				t.Fatal(events, err)
			}
			ev := events[0]
			if ev.ID != 204 || ev.Level != 2 || ev.Record != 77 || ev.Process != 12 || ev.User != "S-1-5-18" || ev.Computer != "DESKTOP-0000001" ||
				!ev.Time.Equal(time.Date(2026, 11, 28, 13, 57, 44, 123456700, time.UTC)) || ev.Message != "Fehler.\nCode 0x801c03ea" ||
				ev.Value("exitcode") != "-2145647638" || ev.Data[1] != (Field{"", "unnamed & more"}) || ev.Provider != "Microsoft-Windows-User Device Registration" {
				t.Errorf("%+v", ev)
			}
		})
	}
}

func TestReadXMLDamage(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		in     io.Reader
		events int
		want   error
	}{
		"cut":      {strings.NewReader(exportedXML[:len(exportedXML)-40]), 1, io.ErrUnexpectedEOF},
		"no XML":   {strings.NewReader("<Event><<<"), 0, ErrFormat},
		"too deep": {strings.NewReader("<Event>" + strings.Repeat("<a>", 100)), 0, errTooDeep},
		"too long": {strings.NewReader("<Event>" + strings.Repeat("x", maxEventXML+1)), 0, ErrLimit},
		"reader":   {io.MultiReader(strings.NewReader("<Events>"), iotest.ErrReader(broken)), 0, broken},
		"other":    {strings.NewReader("<a><b/></a>"), 0, nil},
	} {
		events, err := collect(ReadXML(c.in))
		if len(events) != c.events || !errors.Is(err, c.want) {
			t.Errorf("%s: %d events, %v; want %v", name, len(events), err, c.want)
		}
	}
}

// The forms that wevtutil (/f:text), the event viewer ("Save as" text) and Get-WinEvent
// (Format-List) write.
const (
	wevtutilText = "Event[0]:\r\n  Log Name: Microsoft-Windows-User Device Registration/Admin\r\n  Source: Microsoft-Windows-User Device Registration\r\n" +
		"  Date: 2026-11-28T13:57:44.1230000Z\r\n  Event ID: 204\r\n  Task: N/A\r\n  Level: Error\r\n  Opcode: Info\r\n  Keyword: N/A\r\n  User: S-1-5-18\r\n  User Name: NT AUTHORITY\\SYSTEM\r\n" +
		"  Computer: DESKTOP-0000001\r\n  Description: \r\nThe get join response operation callback failed with exit code: Unknown HResult Error code: 0x801c03ea.\r\nServer error: attestation\r\n\r\n" +
		"Event[1]:\r\n  Log Name: Microsoft-Windows-User Device Registration/Admin\r\n  Source: Microsoft-Windows-User Device Registration\r\n  Date: 2026-11-28T13:58:00.000\r\n  Event ID: 110\r\n  Level: Information\r\n  Computer: DESKTOP-0000001\r\n  Description: \r\nN/A\r\n"
	listText = "TimeCreated  : 11/28/2026 1:57:44 PM\nProviderName : Microsoft-Windows-ModernDeployment-Diagnostics-Provider\nId           : 171\nLevelDisplayName : Error\nMessage      : Autopilot failed to confirm TPM identity: 0x81039001\n               and more.\n\nTimeCreated  : 11/28/2026 1:58:44 PM\nProviderName : Microsoft-Windows-AAD\nId : 1104\nMessage : AAD Cloud AP plugin call\n"
)

func TestReadText(t *testing.T) {
	events, err := collect(ReadText(strings.NewReader(wevtutilText)))
	if err != nil || len(events) != 2 {
		t.Fatal(events, err)
	}
	if ev := events[0]; ev.ID != 204 || ev.Level != 2 || ev.Record != 1 || ev.Provider != "Microsoft-Windows-User Device Registration" || ev.Channel != "Microsoft-Windows-User Device Registration/Admin" ||
		!ev.Time.Equal(time.Date(2026, 11, 28, 13, 57, 44, 123000000, time.UTC)) || !strings.Contains(ev.Message, "0x801c03ea.\nServer error: attestation") || ev.User != "S-1-5-18" {
		t.Errorf("%+v", ev)
	}
	if ev := events[1]; ev.ID != 110 || ev.Time.Hour() != 13 || ev.Level != 4 {
		t.Errorf("%+v", ev)
	}
	events, err = collect(ReadText(bytes.NewReader(utf16Bytes(listText, false))))
	if err != nil || len(events) != 2 || events[0].ID != 171 || events[0].Message != "Autopilot failed to confirm TPM identity: 0x81039001\nand more." ||
		!events[0].Time.Equal(time.Date(2026, 11, 28, 13, 57, 44, 0, time.UTC)) || events[1].ID != 1104 {
		t.Error(err, len(events), events[0])
	}
	if events, err := collect(ReadText(strings.NewReader("nothing of that\nEvent ID: x\n"))); err != nil || len(events) != 0 {
		t.Error(events, err)
	}
	broken := errors.New("broken")
	if _, err := collect(ReadText(iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestReadRows reads what the event viewer saves as text and as a list.
func TestReadRows(t *testing.T) {
	for name, in := range map[string]string{
		"tabs":   "Level\tDate and Time\tSource\tEvent ID\tTask Category\nError\t11/28/2026 1:57:44 PM\tMicrosoft-Windows-AAD\t1098\t(101)\t\"Error: 0xCAA9004D\nmore, of it\"\nInformation\t11/28/2026 1:57:45 PM\tMicrosoft-Windows-AAD\t1006\tNone\tx\n",
		"commas": "Level,Date and Time,Source,Event ID,Task Category\r\nError,11/28/2026 1:57:44 PM,Microsoft-Windows-AAD,1098,(101),\"Error: 0xCAA9004D\r\nmore, of it\"\r\nInformation,11/28/2026 1:57:45 PM,Microsoft-Windows-AAD,1006,None,x\r\n",
		"German": "Ebene\tDatum und Uhrzeit\tQuelle\tEreignis-ID\tAufgabenkategorie\nFehler\t28.11.2026 13:57:44\tMicrosoft-Windows-AAD\t1098\t(101)\tError: 0xCAA9004D\nmore, of it\nInformationen\t28.11.2026 13:57:45\tMicrosoft-Windows-AAD\t1006\tKeine\tx\n",
	} {
		events, err := collect(ReadText(strings.NewReader(in)))
		if err != nil || len(events) != 2 {
			t.Errorf("%s: %d events, %v", name, len(events), err)
			continue
		}
		if ev := events[0]; ev.ID != 1098 || ev.Provider != "Microsoft-Windows-AAD" || !ev.Local || !ev.Time.Equal(time.Date(2026, 11, 28, 13, 57, 44, 0, time.UTC)) || ev.Message != "Error: 0xCAA9004D\nmore, of it" {
			t.Errorf("%s: %+v", name, ev)
		}
	}
}
