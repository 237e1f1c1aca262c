package syncml_test

import (
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/whiteglove/whiteglove/internal/syncml"
)

// The example of OMA DM Protocol 1.2, section 9.
func TestDigest(t *testing.T) {
	if got := syncml.Digest("Bruce2", "OhBehave", []byte("Nonce")); got != "Zz6EivR3yeaaENcRN6lpAQ==" {
		t.Errorf("got %s", got)
	}
}

// A message of a server with every kind of element that [MS-MDM] section 4 has,
// written for this test.
const full = `<?xml version="1.0" encoding="utf-8"?>
<SyncML xmlns="SYNCML:SYNCML1.2" xmlns:msft="http://schemas.microsoft.com/MobileDevice/MDM">
 <SyncHdr>
  <VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>7F</SessionID><MsgID> 2 </MsgID>
  <Target><LocURI>urn:uuid:device</LocURI></Target>
  <Source><LocURI>https://mdm.test/</LocURI><LocName>Server</LocName></Source>
  <Cred><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type></Meta><Data>AAEC</Data></Cred>
  <Meta><A:MaxMsgSize xmlns:A="syncml:metinf">524288</A:MaxMsgSize></Meta>
 </SyncHdr>
 <SyncBody>
  <Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><TargetRef>t</TargetRef><SourceRef>s</SourceRef>
   <Chal><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type><NextNonce xmlns="syncml:metinf">Tm9uY2U=</NextNonce></Meta></Chal>
   <Data>401</Data></Status>
  <Atomic><CmdID>d0a7-guid</CmdID>
   <Add><CmdID>3</CmdID><NoResp/><Meta><Format xmlns="syncml:metinf">chr</Format></Meta>
    <Item><Target><LocURI>./A</LocURI></Target><Data> a&amp;b </Data></Item>
    <Item><Target><LocURI>./B</LocURI></Target><Meta><Format xmlns="syncml:metinf">xml</Format><Mark xmlns="syncml:metinf">m</Mark></Meta><Data><x/></Data><MoreData/></Item>
   </Add>
   <Sequence><CmdID></CmdID><Exec><CmdID>5</CmdID><Item><Source><LocURI>./C</LocURI></Source></Item></Exec></Sequence>
  </Atomic>
  <Wonder><CmdID>9</CmdID></Wonder>
  <Final/>
 </SyncBody>
</SyncML>`

func TestParse(t *testing.T) {
	b64 := syncml.Meta{Format: "b64", Type: syncml.TypeMD5}
	chal := syncml.Meta{Format: "b64", Type: syncml.TypeMD5, NextNonce: "Tm9uY2U="}
	want := &syncml.Message{
		SessionID: "7F", ID: "2", Target: "urn:uuid:device", Source: "https://mdm.test/", SourceName: "Server",
		Cred: &syncml.Cred{Meta: b64, Data: "AAEC"}, MaxMsgSize: 524288, Final: true,
		Commands: []*syncml.Command{
			{Name: "Status", ID: "1", MsgRef: "1", CmdRef: "0", Cmd: "SyncHdr", Targets: []string{"t"}, Sources: []string{"s"}, Data: "401", Chal: &chal},
			{Name: "Atomic", ID: "d0a7-guid", Commands: []*syncml.Command{
				{Name: "Add", ID: "3", NoResp: true, Meta: syncml.Meta{Format: "chr"}, Items: []*syncml.Item{
					{Target: "./A", Data: " a&b "},
					{Target: "./B", Meta: syncml.Meta{Format: "xml", Mark: "m"}, Data: "<x/>", MoreData: true},
				}},
				{Name: "Sequence", Commands: []*syncml.Command{{Name: "Exec", ID: "5", Items: []*syncml.Item{{Source: "./C"}}}}},
			}},
			{Name: "Wonder", ID: "9"},
		},
	}
	for name, text := range map[string]string{
		"as it is":      full,
		"without":       strings.ReplaceAll(full, ` xmlns="SYNCML:SYNCML1.2"`, ""),
		"version 1.1":   strings.ReplaceAll(full, "SYNCML1.2", "SYNCML1.1"),
		"misspelt":      strings.ReplaceAll(strings.ReplaceAll(full, "MsgID", "MsgId"), ` xmlns="SYNC`, ` xnlns="SYNC`),
		"lower case":    strings.NewReplacer("SyncBody", "syncbody", "CmdID", "cmdid", "<Add>", "<add>", "</Add>", "</add>").Replace(full),
		"mark in front": "\ufeff" + full,
		"trailing":      full + "\x00rubbish",
		"UTF-16 said":   `<?xml version="1.0" encoding="utf-16"?>` + full,
		"UTF-16":        utf16Text(`<?xml version="1.0" encoding="UTF-16"?>` + full),
	} {
		got, err := syncml.Parse([]byte(text))
		if err == nil {
			got.Commands[1].Commands[0].Items[1].Scope = nil
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// utf16Text returns text in UTF-16, the first byte being the lower.
func utf16Text(text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func TestMarshal(t *testing.T) {
	m, err := syncml.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	m.Commands[1].Commands[0].Items[1].Scope = nil // is not written again
	m.Commands[1].Commands[0].Items[1].MoreData = false
	m.Commands[1].Commands[0].NoResp = false
	text := m.Marshal()
	again, err := syncml.Parse(text)
	if err != nil || !reflect.DeepEqual(again, m) {
		t.Errorf("%s\nreads as %+v, %v", text, again, err)
	}
	if strings.ContainsAny(string(text[:40]), "\n\t") || !strings.HasPrefix(string(text), `<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD>`) {
		t.Errorf("got %s", text)
	}
	got := string((&syncml.Message{Commands: []*syncml.Command{{Name: "Status", MsgRef: "1"}}}).Marshal())
	if !strings.Contains(got, "<MsgRef>1</MsgRef><CmdRef></CmdRef>") {
		t.Errorf("an empty CmdRef is lost: %s", got)
	}
}

// A value with elements is what is between the tags, byte for byte.
func TestParseMarkup(t *testing.T) {
	for name, data := range map[string]string{
		"one":         `<Job id="1"/>`,
		"empty":       `<enabled/>`,
		"siblings":    `<enabled/><data id="a" value="b"/>`,
		"spaced":      "\r\n  <enabled/>\n\t<data id='a' value='&#xF000;'></data >  ",
		"declaration": `<?xml version="1.0"?><Job/>`,
		"encoding":    `<?xml version="1.0" encoding="utf-8"?>` + "\n<Job/>",
		"UTF-16":      `<?xml version="1.0" encoding="utf-16"?><Job/>`,
		"CDATA":       `<Job><![CDATA[</Data> & ]]></Job><![CDATA[<x>]]>`,
		"mixed":       `a &amp; b<i>c</i>&lt;d`,
		"comment":     `<!-- <Data> --><Job/><!-- </Data> -->`,
		"namespaces":  `<x:Job x:id="&quot;"/><Job xmlns="urn:other"/>`,
		"nested":      `<Item><Data><Data>1</Data></Data></Item>`,
	} {
		text := `<S:SyncML xmlns:S="SYNCML:SYNCML1.2" xmlns="urn:default" xmlns:x="urn:far"><S:SyncHdr/><S:SyncBody xmlns:x="urn:near"><S:Exec><S:Item><S:Data>` +
			data + `</S:Data></S:Item></S:Exec></S:SyncBody></S:SyncML>`
		m, err := syncml.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i := m.Commands[0].Items[0]
		if i.Data != data || i.Scope.Namespace("x") != "urn:near" || i.Scope.Namespace("") != "urn:default" || i.Scope.Namespace("y") != "" {
			t.Errorf("%s: %q with %+v", name, i.Data, i.Scope)
		}
	}
	for data, want := range map[string]string{
		`<![CDATA[<Job/>]]>`:                     `<Job/>`,
		`&lt;Job/&gt;`:                           `<Job/>`,
		`<![CDATA[<a>]]>&amp;<![CDATA[</a>]]>`:   `<a>&</a>`,
		`a<!-- b -->c`:                           `ac`,
		``:                                       ``,
		`<?xml version="1.0"?>&lt;enabled/&gt; `: `<enabled/> `,
	} {
		m, err := syncml.Parse([]byte(`<SyncML><SyncHdr/><SyncBody><Add><Item><Data>` + data + `</Data></Item></Add></SyncBody></SyncML>`))
		if err != nil || m.Commands[0].Items[0].Data != want || m.Commands[0].Items[0].Scope != nil {
			t.Errorf("%s: %+v, %v", data, m, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	wrap := func(body string) string {
		return `<SyncML><SyncHdr/><SyncBody>` + body + `</SyncBody></SyncML>`
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty":         {"", "no XML element"},
		"no header":     {"<SyncML><SyncBody/></SyncML>", "SyncHdr"},
		"no body":       {"<SyncML><SyncHdr/></SyncML>", "SyncBody"},
		"cut off":       {"<SyncML><SyncHdr>", "EOF"},
		"document type": {"<!DOCTYPE SyncML>" + wrap(""), "document type"},
		"entity":        {wrap("&lol;"), "entity"},
		"depth":         {wrap(strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)), "32 levels"},
		"elements":      {wrap(strings.Repeat("<a/>", 50001)), "50000 elements"},
		"commands":      {wrap(strings.Repeat("<Exec/>", 10001)), "10000 commands"},
		"items":         {wrap("<Get>" + strings.Repeat("<Item/>", 10000) + "</Get>"), "10000 commands"},
		"inner":         {wrap("<Atomic><Sequence>" + strings.Repeat("<Get/>", 9999) + "</Sequence></Atomic>"), "10000 commands"},
		"size":          {wrap(strings.Repeat(" ", syncml.MaxSize)), "1048576 bytes"},
		"control":       {wrap("\x01"), "illegal character"},
		"encoding":      {`<?xml version="1.0" encoding="EBCDIC"?>` + wrap(""), `the encoding "EBCDIC"`},
	} {
		if m, err := syncml.Parse([]byte(test.text)); m != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if m, err := syncml.Parse([]byte(wrap("<Get>" + strings.Repeat("<Item/>", 9999) + "</Get>"))); err != nil || len(m.Commands[0].Items) != 9999 {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := syncml.Parse([]byte("<html/>")); !errors.Is(err, syncml.ErrNotSyncML) {
		t.Errorf("HTML: %v", err)
	}
}

// What can be read can be written, and is then read the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`<SyncML><SyncHdr/><SyncBody><Get><CmdID/><Item/></Get></SyncBody></SyncML>`))
	f.Add([]byte(`<!DOCTYPE a><SyncML/>`))
	f.Add([]byte(utf16Text("\ufeff" + full)))
	f.Add([]byte(`<?xml version="1.0" encoding="utf-16"?>` + full))
	f.Add([]byte(`<SyncML xmlns:p="u"><SyncHdr/><SyncBody><Exec><Item><Data><?xml version="1.0"?><p:Job a="b"> <![CDATA[</Data>]]></p:Job></Data></Item></Exec></SyncBody></SyncML>`))
	f.Add([]byte(`<SyncML><SyncHdr><Meta><MaxMsgSize>-1</MaxMsgSize></Meta></SyncHdr><SyncBody><Final/></SyncBody></SyncML>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := syncml.Parse(data)
		if err != nil {
			return
		}
		once := m.Marshal()
		again, err := syncml.Parse(once)
		if err != nil {
			if len(once) > syncml.MaxSize {
				return // escapes are longer
			}
			t.Fatalf("%q is written as %q: %v", data, once, err)
		}
		if twice := again.Marshal(); string(once) != string(twice) {
			t.Fatalf("%q, then %q", once, twice)
		}
	})
}
