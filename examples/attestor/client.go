package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/command"
	"github.com/whiteglove/whiteglove/internal/wire"
	"github.com/whiteglove/whiteglove/verify"
)

// A client sends messages to a verifier.
type client struct {
	url, token string
	http       *http.Client
	unbooted   bool // the TPM is emulated and does not start as a machine
}

func (o *options) client() (*client, error) {
	roots, err := command.ReadRoots("-roots", o.roots)
	if err != nil {
		return nil, err
	}
	token, err := command.Secret("-token", o.token)
	return &client{strings.TrimSuffix(o.url, "/"), token, wire.NoRedirects(command.HTTPClient(roots)), !o.real() && !o.boot}, err
}

// maxAnswer is the size in bytes that no answer may exceed. It is more than a verifier's
// largest message.
const maxAnswer = 4 << 20

// send sends a message and reads the answer.
func (c *client) send(ctx context.Context, path string, m, answer verify.Message) error {
	var body bytes.Buffer
	if err := verify.Encode(&body, m); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	got, err := wire.Do(c.http, req, maxAnswer)
	if err != nil {
		return err
	}
	status := strings.TrimSpace(fmt.Sprintf("%d %s", got.Status, http.StatusText(got.Status)))
	switch {
	case got.Status/100 == 3:
		return fmt.Errorf("%s leads to %s, which is not followed. If that is the verifier, give it as -url. Else a proxy or a portal answers in its place: sign in there, or let the address pass", c.url+path, wire.Redact(got.Header.Get("Location")))
	case got.Status >= 500 && !isVerdict(got.Body):
		return c.down(path, status, got)
	case bytes.HasPrefix(bytes.TrimSpace(got.Body), []byte("<")):
		return fmt.Errorf("%s answers %s with a web page (HTML), which no verifier does. %s", c.url+path, status, wire.RemedyPage)
	case got.Status == http.StatusOK:
		err := verify.Decode(bytes.NewReader(got.Body), answer)
		return command.At(c.url+path, command.Advise(err, "Check that -url is a verifier's, and that attestor and verifier are of the same version; else tell its operator."))
	}
	var verdict verify.Verdict
	if err := verify.Decode(bytes.NewReader(got.Body), &verdict); err != nil {
		return fmt.Errorf("%s answers %s, which is not a verifier's answer%s", c.url+path, status, elsewhere(got.Status))
	}
	if got.Status == http.StatusUnprocessableEntity {
		return refused(got.Status, &verdict, "Give the right file with -eventlog, or read the log again.")
	}
	if got.Status == http.StatusUnauthorized {
		text := "This device sent none: give the verifier's token with -token @FILE."
		if c.token != "" {
			text = "The token of -token is not the verifier's: give the right one."
		}
		return refused(got.Status, &verdict, text)
	}
	return refused(got.Status, &verdict, c.advice(path, m, verdict.Reason))
}

// isVerdict reports whether a body is a verifier's.
func isVerdict(body []byte) bool {
	return verify.Decode(bytes.NewReader(body), new(verify.Verdict)) == nil
}

// down returns the error for a status that says that the verifier does not answer itself.
func (c *client) down(path, status string, got *wire.Answer) error {
	page := ""
	if wire.IsHTML(got.Body) {
		page = " with a web page (HTML)"
	}
	again := "a little later"
	if wait := wire.RetryAfter(got.Header, time.Now()); wait > 0 {
		again = "in " + wire.Span(wait)
	}
	return fmt.Errorf("%s answers %s%s: the verifier is down or overloaded, says a gateway before it; may pass. Run again %s. If that does not help, ask its operator", c.url+path, status, page, again)
}

// elsewhere says whose fault an answer is that no verifier gives.
func elsewhere(status int) string {
	switch {
	case status == http.StatusNotFound:
		return ". Check -url, its path included"
	case status == http.StatusProxyAuthRequired:
		return ". Let the proxy pass this host without authentication"
	}
	return ". Check -url, and whether a proxy or a sign-in page answers"
}

// advice says what a device can do that was refused because of a message.
// reason is the verifier's.
func (c *client) advice(path string, m verify.Message, reason string) string {
	evidence, ok := m.(*verify.Evidence)
	switch {
	case strings.Contains(reason, verify.ErrClock.Error()):
		return "Run again; if it is refused again, have the verifier's operator examine this device. An emulator whose state was lost is another TPM: begin with a new -state file."
	case path == "/hello":
		return "The verifier does not trust this TPM, or not its maker: have its operator add the maker's root certificates (verifier -ek-roots)."
	case ok && strings.Contains(reason, verify.ErrPolicy.Error()):
		return c.policyAdvice(len(evidence.EventLog) > 0, reason)
	case ok:
		return "Run again; if it is refused again, have the verifier's operator examine this device."
	}
	return ""
}

// policyAdvice is the advice for a device that does not meet the policy. Only where no
// value of a PCR is wrong, an event log is what it lacks.
func (c *client) policyAdvice(sentLog bool, reason string) string {
	wrong := slices.ContainsFunc([]string{"has another value", "have other values", "no known firmware"}, func(s string) bool { return strings.Contains(reason, s) })
	switch {
	case !wrong && strings.Contains(reason, "there is no event log"):
		return "This device sent no event log: give one with -eventlog. If it still does not meet the policy, have the verifier's operator compare them."
	case !wrong && strings.HasSuffix(reason, ": the machine was started since its last quote"):
		return "The policy takes no machine that was started again: ask the verifier's operator how to go on."
	}
	text := "This machine started with other firmware, boot loader or settings than the policy allows"
	if !sentLog {
		text += "; a log alone does not change that"
	}
	text += ". If they are right, have the verifier's operator add the new values."
	const emulated = "n emulated TPM has a machine's past only with -boot."
	switch {
	case !sentLog && c.unbooted:
		text += " It sent no event log either (-eventlog); a" + emulated
	case !sentLog:
		text += " It sent no event log either (-eventlog)."
	case c.unbooted:
		text += " A" + emulated
	}
	return text
}

// A refusal is an error of the verifier's verdict.
type refusal struct {
	status  int
	verdict *verify.Verdict
	advice  string // for a device that was judged; may be empty
}

// refused returns the error for a verdict, with the exit code. Where the verifier did not
// get to the device, since the bearer token is wrong, a message was too old or it is busy,
// it has not judged it.
func refused(status int, v *verify.Verdict, advice string) error {
	code := 3
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable:
		code = 1
	}
	return &command.ExitError{Code: code, Err: &refusal{status, v, advice}}
}

func (r *refusal) Error() string {
	reason := command.OneLine(r.verdict.Reason)
	switch {
	case r.status == http.StatusUnauthorized:
		return "the verifier does not let this device speak: " + reason + ". " + r.advice
	case r.status == http.StatusConflict:
		return "the verifier waits for no such answer: " + reason + ". Run again."
	case r.verdict.Retryable:
		return "not judged: " + reason + ". Trying again later may help."
	}
	return strings.TrimSuffix("refused: "+reason+". "+r.advice, ". ")
}
