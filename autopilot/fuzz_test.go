package autopilot_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/autopilot/autopilottest"
)

// FuzzParseHash reads a hash of any bytes. What can be read is written as it was.
func FuzzParseHash(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(parse(f, autopilottest.Encode(s.records)).Bytes())
	}
	f.Add([]byte("OA\x04\x00"))
	f.Add([]byte("OA\x0a\x00\x0b\x00\x06\x00\xff\xff"))
	f.Add(autopilottest.Device{EK: key("f")}.Hash().Bytes()[:1200])
	other := autopilottest.Device{EK: key("g")}.Hash()
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := autopilot.ParseHash(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			if !errors.Is(err, autopilot.ErrMalformed) {
				t.Error(err)
			}
			return
		}
		if !bytes.Equal(h.Bytes(), raw) {
			t.Errorf("read %x, wrote %x", raw, h.Bytes())
		}
		w := h.Hardware()
		n := 0
		for _, r := range h.Records() {
			n += 4 + len(r.Data)
			_ = r.Name()
		}
		if n+4 > len(raw) {
			t.Errorf("%d bytes of records in %d", n, len(raw))
		}
		if _, err := json.Marshal(w); err != nil {
			t.Error(err)
		}
		_ = w.String()
		_ = h.Lint()
		if m := h.Compare(h); m.Verdict == autopilot.Other || len(m.Differences) > 0 {
			t.Errorf("a hash differs from itself: %v", m)
		}
		if h.Compare(other).Verdict != other.Compare(h).Verdict {
			t.Error("comparison depends on the order")
		}
		if ek := h.EK(); ek != nil && h.Match(ek).Verdict != autopilot.Same {
			t.Error("the key in a hash does not match it")
		}
	})
}

// FuzzParseHashText reads any text as a hash.
func FuzzParseHashText(f *testing.F) {
	f.Add("T0FzAQEAHAAAAAoA6AOCOgEABgBgW7EdzorHH3g")
	f.Add(" T0EE\r\nAA==")
	f.Add(autopilottest.Device{}.Text()[:1500])
	f.Fuzz(func(t *testing.T, text string) {
		h, err := autopilot.ParseHash(text)
		if err != nil {
			return
		}
		again, err := autopilot.ParseHash(h.String())
		if err != nil || again.String() != h.String() {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// FuzzReadCSV reads a file of any bytes. What the writer takes of it is read again
// without a finding.
func FuzzReadCSV(f *testing.F) {
	hash := autopilottest.Encode(nil)[:200]
	for _, file := range []string{
		intune + "\r\nS1,,HASH\r\n", "\ufeff" + intune + ",Group Tag,Assigned User\nS1,1234567890123,H,\"a, b\",x@y\n", "Mock,Book,S1\n",
		"Manufacturer,Model,Serial Number,Hardware Hash\nMock,Book,S1,H\n", intune + ",Manufacturer name,Device model\nS1,,,Mock,Book\n",
		"\xff\xfeD\x00e\x00", strings.ReplaceAll(intune, ",", ";") + "\nS1;;" + hash + "\n", "\"\"\"\n\"",
		"a,b,c\nHash,Manufacturer name,Model\n", "#TYPE System.Object\r\n" + intune + "\nS1,,H\n", "sep=;\nS1;;" + hash + ";tag\n",
	} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := autopilot.ReadCSV(bytes.NewReader(file))
		if err != nil {
			if !errors.Is(err, autopilot.ErrMalformed) {
				t.Error(err)
			}
			return
		}
		_ = s.Lint()
		m := autopilot.Merge(s, s)
		if len(m.Rows) > 2*len(s.Rows) {
			t.Errorf("%d rows of %d", len(m.Rows), len(s.Rows))
		}
		for row := range slices.Values(s.Rows) {
			var b bytes.Buffer
			if autopilot.WriteCSV(&b, s.Format, []autopilot.Row{row}) != nil {
				continue
			}
			again, err := autopilot.ReadCSV(bytes.NewReader(b.Bytes()))
			if err != nil {
				t.Fatalf("%q: %v", b.String(), err)
			}
			if s.Format != autopilot.Identifiers && (again.Format != s.Format || len(again.Rows) != 1 || len(again.Findings) > 0 || again.Rows[0].Serial != row.Serial && row.Serial != "") {
				t.Errorf("wrote %q, read %+v", b.String(), again)
			}
		}
	})
}

// FuzzParseProfile reads a profile of any bytes. What can be read is written and
// read again as it was.
func FuzzParseProfile(f *testing.F) {
	for _, file := range []string{
		downloaded, offline, `{"ErrorCode":807,"ErrorReason":"x"}`, `{"CloudAssignedTenantId":"x","CloudAssignedDeviceName":"%RAND:15%%SERIAL%"}`,
		`{"CloudAssignedTenantDomain":"x","Version":2049,"CloudAssignedAadServerData":"{","PolicyDownloadDate":"2022-09-13T15:14:02Z"}`, "\xff\xfe{\x00}\x00",
		strings.Replace(offline, "CloudAssigned", "\x7f", 1),
	} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := autopilot.ParseProfile(file)
		if err != nil {
			var e *autopilot.Error
			if !errors.As(err, &e) {
				t.Error(err)
			}
			return
		}
		out, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := autopilot.ParseProfile(out)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if back, err := json.Marshal(again); err != nil || !bytes.Equal(back, out) {
			t.Errorf("wrote\n%s\nthen\n%s\n%v", out, back, err)
		}
		_, _ = p.Lint(), p.Plan("S1").String()
		if name, err := p.ComputerName("5CD8068X5C"); err == nil && len(name) > 15 {
			t.Errorf("name %q", name)
		}
		if file, err := p.Offline(); err == nil {
			q, err := autopilot.ParseProfile(file)
			if err != nil || slices.ContainsFunc(q.Lint(), func(f autopilot.Finding) bool { return f.Refused }) {
				t.Errorf("%s: %v, %v", file, err, q.Lint())
			}
		}
	})
}
