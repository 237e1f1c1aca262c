package evidence

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/whiteglove/whiteglove/internal/evtx"
)

// providers are the short names of the providers that rules and package diagnose know.
// Before Windows 10 1903, Autopilot's was Provisioning-Diagnostics-Provider, with the
// same numbers.
var providers = map[string]string{
	"microsoft-windows-moderndeployment-diagnostics-provider":            "MD",
	"microsoft-windows-provisioning-diagnostics-provider":                "MD",
	"microsoft-windows-user device registration":                         "UDR",
	"microsoft-windows-devicemanagement-enterprise-diagnostics-provider": "DM",
	"microsoft-windows-shell-core":                                       "SC",
	"microsoft-windows-tpm-wmi":                                          "TW",
	"microsoft-windows-aad":                                              "AAD",
	"microsoft-windows-kernel-general":                                   "KG",
	"microsoft-windows-certificateservicesclient-certenroll":             "CE",
}

// readEvtx reads a binary log.
func (c *Case) readEvtx(s *Source, r io.Reader) error {
	log, err := evtx.NewReader(r)
	if err != nil {
		return err
	}
	if log.Dirty {
		s.problem(errors.New("the log was copied while Windows wrote it"))
	}
	for record, err := range log.Records() {
		if err != nil {
			if errors.Is(err, ErrLimit) || !errors.As(err, new(*evtx.Error)) {
				return err
			}
			s.problem(err)
			continue
		}
		if ev := evtx.EventOf(record.Root); ev != nil {
			if ev.Record == 0 {
				ev.Record = record.Number
			}
			if ev.Time.IsZero() {
				ev.Time = record.Written
			}
			c.event(s, ev)
		}
	}
	return nil
}

// readEvents reads an export.
func (c *Case) readEvents(s *Source, events iter.Seq2[*evtx.Event, error]) error {
	for ev, err := range events {
		if err != nil {
			return err
		}
		c.event(s, ev)
	}
	return nil
}

// event keeps an event of a provider that is known.
func (c *Case) event(s *Source, ev *evtx.Event) {
	s.Records++
	c.private.computer(ev.Computer)
	provider := providers[strings.ToLower(ev.Provider)]
	if provider == "" {
		return
	}
	f := fact{
		ref: Ref{File: s.Name, Record: ev.Record}, time: ev.Time, local: ev.Local, level: ev.Level,
		event: fmt.Sprintf("%s %d", provider, ev.ID),
	}
	var search, quote strings.Builder
	for _, field := range ev.Data {
		if search.Len() > maxSearch {
			break
		}
		fmt.Fprintf(&search, "\n%s=%s\n", field.Name, field.Value)
		value := field.Value
		if isSecret(field.Name) {
			value = fmt.Sprintf("<%d characters>", len(value))
		}
		if field.Name != "" {
			quote.WriteString(field.Name + "=")
		}
		quote.WriteString(value + " ")
		f.codes = valueCodes(f.codes, field.Value)
		c.private.value(field.Name, field.Value)
	}
	search.WriteString(ev.Message)
	f.codes = textCodes(f.codes, clip(ev.Message, maxSearch))
	f.lower = strings.ToLower(clip(search.String(), maxSearch))
	if f.text = ev.Message; f.text == "" || isSecretEvent(f.event) {
		f.text = quote.String()
	}
	c.add(f)
}

// isSecret reports whether a field holds a token (UDR 103, 270 and 271).
func isSecret(name string) bool { return strings.Contains(strings.ToLower(name), "token") }

// isSecretEvent reports whether the message of an event holds a token.
func isSecretEvent(event string) bool {
	return event == "UDR 103" || event == "UDR 203" || event == "UDR 270" || event == "UDR 271"
}
