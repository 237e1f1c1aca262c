package evidence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/whiteglove/whiteglove/internal/evtx"
	"github.com/whiteglove/whiteglove/internal/traffic"
	"github.com/whiteglove/whiteglove/internal/wide"
)

// Values of Source.Kind.
const (
	kindZIP       = "zip archive"
	kindCab       = "cabinet"
	kindEventLog  = "event log"
	kindEventXML  = "event log as XML"
	kindEventText = "event log as text"
	kindRegistry  = "registry"
	kindProfile   = "profile"
	kindDevices   = "device list"
	kindMarkup    = "diagnostics report"
	kindLog       = "log"
	kindCertReq   = "certreq"
	kindDSReg     = "dsregcmd"
	kindTPMTool   = "tpmtool"
	kindText      = "text"
	kindUnread    = "unread"
)

// sniffLength is how many bytes of a file decide on its kind.
const sniffLength = 4096

// kindOf returns the kind of a file by its name and first bytes.
func kindOf(name string, head []byte) string {
	if bytes.HasPrefix(head, []byte("ElfFile\x00")) {
		return kindEventLog
	}
	decoded, _ := io.ReadAll(wide.UTF8(bytes.NewReader(head)))
	text := strings.ToLower(string(decoded))
	base := strings.ToLower(path.Base(strings.ReplaceAll(name, `\`, "/")))
	trimmed := strings.TrimSpace(text)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case strings.HasPrefix(trimmed, "windows registry editor") || strings.HasPrefix(trimmed, "regedit4"):
		return kindRegistry
	case strings.HasPrefix(trimmed, "<") && has("<event ", "<event>", "<events"):
		return kindEventXML
	case strings.HasPrefix(trimmed, "<") && has("<![log["):
		return kindLog
	case strings.HasPrefix(trimmed, "<"):
		return kindMarkup
	case traffic.KindOf(string(decoded)) != "":
		return traffic.KindOf(string(decoded))
	case strings.HasPrefix(trimmed, "{") && has("cloudassigned", "errorcode", "ztd"):
		return kindProfile
	case has("microsoft-windows-") && eventRow.MatchString(text):
		return kindEventText
	case has("event[0", "log name:") && has("event id:"), has("providername") && has("timecreated"):
		return kindEventText
	case has("hardware hash") && has(",", ";"):
		return kindDevices
	case has("azureadjoined", "| device state"):
		return kindDSReg
	case has("-tpm present", "tpm manufacturer id"):
		return kindTPMTool
	case strings.HasPrefix(base, "certreq") || has("getcacaps", "certutil:", "certreq:"):
		return kindCertReq
	case isBinary(decoded):
		return kindUnread
	case strings.HasSuffix(base, ".log"):
		return kindLog
	case misnamed[path.Ext(base)] != nil:
		return kindUnread
	}
	return kindText
}

// misnamed has why a file is not read that is plain text by its contents, but should be
// of another kind by the end of its name.
var misnamed = map[string]error{
	".zip":  errors.New("it is no ZIP archive, though its name says so"),
	".cab":  errors.New("it is no cabinet, though its name says so"),
	".evtx": errors.New("it is no event log, though its name says so"),
	".har":  errors.New("it is no HTTP archive, though its name says so: it has no log with entries"),
}

// isBinary reports whether decoded text has many control characters.
func isBinary(text []byte) bool {
	control := 0
	for _, b := range text {
		if b < ' ' && b != '\n' && b != '\r' && b != '\t' && b != '\f' {
			control++
		}
	}
	return control*50 > len(text)
}

// eventRow is a row that the event viewer saves: level, time, source, number.
var eventRow = regexp.MustCompile(`(?m)^[^\t,\n]*[\t,][^\t,\n]*\d\d:\d\d[^\t,\n]*[\t,]"?microsoft-windows-[^\t,\n]*[\t,]"?\d{1,5}"?[\t,]`)

// isText reports whether any file could be of a kind.
func isText(kind string) bool {
	switch kind {
	case kindText, kindLog, kindMarkup, kindUnread:
		return true
	}
	return false
}

var errBinary = errors.New("neither text nor a known format")

// readFile reads a file that is no archive. It fails only at a limit of the case or
// the end of ctx.
func (c *Case) readFile(ctx context.Context, name string, head []byte, r io.Reader) error {
	s, err := c.source(name, kindOf(name, head))
	if err != nil {
		return err
	}
	r = c.budget(ctx, r)
	switch s.Kind {
	case kindUnread:
		err = cmp.Or(misnamed[strings.ToLower(path.Ext(name))], errBinary)
	case kindEventLog:
		err = c.readEvtx(s, r)
	case kindEventXML:
		err = c.readEvents(s, evtx.ReadXML(r))
	case kindEventText:
		err = c.readEvents(s, evtx.ReadText(r))
	case kindRegistry:
		err = c.readRegistry(s, r)
	case kindProfile:
		err = c.readProfile(s, r)
	case kindDevices:
		err = c.readDevices(s, r)
	case kindMarkup:
		err = c.readMarkup(s, r)
	case traffic.HAR, traffic.ProxyLog, traffic.HostList:
		err = c.readTraffic(s, r)
	default:
		err = c.readText(s, r)
	}
	s.Known = s.Known || s.Records > 0 && !isText(s.Kind)
	s.problem(err)
	if errors.Is(err, ErrLimit) || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}
