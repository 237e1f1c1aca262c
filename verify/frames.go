package verify

import (
	"crypto"

	"github.com/whiteglove/whiteglove/attest"
)

// What the messages are in JSON: a head, and the fields of the exported type, of which
// those have another form that encoding/json would not write as documented.
type (
	helloFrame struct {
		head
		*Hello
		AIKCreation *statement `json:"aikCreation"`
	}
	challengeFrame struct {
		head
		*Challenge
	}
	answerFrame struct {
		head
		*Answer
	}
	againFrame struct {
		head
		*Again
	}
	requestFrame struct {
		head
		*Request
		Bank bank `json:"bank"`
	}
	evidenceFrame struct {
		head
		*Evidence
		Quote *quote       `json:"quote"`
		Keys  []*statement `json:"keys,omitempty"`
	}
	verdictFrame struct {
		head
		*Verdict
	}
	policyFrame struct {
		head
		*Policy
		Bank bank `json:"bank"`
	}
)

func (m *Hello) name() string     { return "hello" }
func (m *Challenge) name() string { return "challenge" }
func (m *Answer) name() string    { return "answer" }
func (m *Again) name() string     { return "again" }
func (m *Request) name() string   { return "request" }
func (m *Evidence) name() string  { return "evidence" }
func (m *Verdict) name() string   { return "verdict" }
func (p *Policy) name() string    { return "policy" }

func (m *Hello) frame(h head) any     { return helloFrame{h, m, (*statement)(m.AIKCreation)} }
func (m *Challenge) frame(h head) any { return challengeFrame{h, m} }
func (m *Answer) frame(h head) any    { return answerFrame{h, m} }
func (m *Again) frame(h head) any     { return againFrame{h, m} }
func (m *Request) frame(h head) any   { return requestFrame{h, m, bank(m.Bank)} }
func (m *Verdict) frame(h head) any   { return verdictFrame{h, m} }
func (p *Policy) frame(h head) any    { return policyFrame{h, p, bank(p.bank())} }

func (m *Evidence) frame(h head) any {
	f := evidenceFrame{head: h, Evidence: m, Quote: newQuote(m.Quote)}
	for _, s := range m.Keys {
		f.Keys = append(f.Keys, (*statement)(s))
	}
	return f
}

func (m *Hello) read(from form) error {
	f := helloFrame{Hello: new(Hello)}
	if err := from.into(&f); err != nil {
		return err
	}
	f.Hello.AIKCreation = (*attest.Statement)(f.AIKCreation)
	if err := f.limits(); err != nil {
		return err
	}
	*m = *f.Hello
	return nil
}

func (m *Challenge) read(from form) error {
	f := challengeFrame{Challenge: new(Challenge)}
	if err := from.into(&f); err != nil {
		return err
	}
	if err := within(maxPart, []byte(f.ID), f.Blob, f.EncryptedSecret); err != nil {
		return err
	}
	*m = *f.Challenge
	return nil
}

func (m *Answer) read(from form) error {
	f := answerFrame{Answer: new(Answer)}
	if err := from.into(&f); err != nil {
		return err
	}
	if err := within(maxText, []byte(f.ID), f.Secret); err != nil {
		return err
	}
	*m = *f.Answer
	return nil
}

func (m *Again) read(from form) error {
	f := againFrame{Again: new(Again)}
	if err := from.into(&f); err != nil {
		return err
	}
	if err := within(maxText, []byte(f.Device)); err != nil {
		return err
	}
	*m = *f.Again
	return nil
}

func (m *Request) read(from form) error {
	f := requestFrame{Request: new(Request)}
	if err := from.into(&f); err != nil {
		return err
	}
	if f.Request.Bank = crypto.Hash(f.Bank); bankName(f.Request.Bank) == "" {
		return malformed("no bank")
	}
	if err := within(maxText, []byte(f.ID), []byte(f.Device), f.Nonce); err != nil {
		return err
	}
	for i, pcr := range f.PCRs {
		if pcr < 0 || pcr > 23 || i > 0 && pcr <= f.PCRs[i-1] {
			return malformed("PCRs %v", f.PCRs[:i+1])
		}
	}
	*m = *f.Request
	return nil
}

func (m *Evidence) read(from form) error {
	f := evidenceFrame{Evidence: new(Evidence)}
	if err := from.into(&f); err != nil {
		return err
	}
	var err error
	if f.Evidence.Quote, err = f.Quote.quote(); err != nil {
		return err
	}
	for _, s := range f.Keys {
		f.Evidence.Keys = append(f.Evidence.Keys, (*attest.Statement)(s))
	}
	if err := within(maxText, []byte(f.ID), []byte(f.Device)); err != nil {
		return err
	}
	if err := f.limits(); err != nil {
		return err
	}
	*m = *f.Evidence
	return nil
}

func (m *Verdict) read(from form) error {
	f := verdictFrame{Verdict: new(Verdict)}
	if err := from.into(&f); err != nil {
		return err
	}
	if err := within(maxReason, []byte(f.Reason)); err != nil {
		return err
	}
	*m = *f.Verdict
	return nil
}

func (p *Policy) read(from form) error {
	f := policyFrame{Policy: new(Policy)}
	if err := from.into(&f); err != nil {
		return err
	}
	f.Policy.Bank = crypto.Hash(f.Bank)
	if err := f.valid(); err != nil {
		return malformed("%w", err)
	}
	*p = *f.Policy
	return nil
}
