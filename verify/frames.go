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

// read decodes a text into frame, which points to parsed, and sets m to that if it
// passes check.
func read[M any](m, parsed *M, from form, frame any, check func() error) error {
	err := from.into(frame)
	if err == nil {
		err = check()
	}
	if err == nil {
		*m = *parsed
	}
	return err
}

func (m *Hello) read(from form) error {
	f := helloFrame{Hello: new(Hello)}
	return read(m, f.Hello, from, &f, func() error {
		f.Hello.AIKCreation = (*attest.Statement)(f.AIKCreation)
		return f.limits()
	})
}

func (m *Challenge) read(from form) error {
	f := challengeFrame{Challenge: new(Challenge)}
	return read(m, f.Challenge, from, &f, func() error { return within(maxPart, []byte(f.ID), f.Blob, f.EncryptedSecret) })
}

func (m *Answer) read(from form) error {
	f := answerFrame{Answer: new(Answer)}
	return read(m, f.Answer, from, &f, func() error { return within(maxText, []byte(f.ID), f.Secret) })
}

func (m *Again) read(from form) error {
	f := againFrame{Again: new(Again)}
	return read(m, f.Again, from, &f, func() error { return within(maxText, []byte(f.Device)) })
}

func (m *Request) read(from form) error {
	f := requestFrame{Request: new(Request)}
	return read(m, f.Request, from, &f, func() error {
		if f.Request.Bank = crypto.Hash(f.Bank); bankName(f.Request.Bank) == "" {
			return malformed("no bank")
		}
		for i, pcr := range f.PCRs {
			if pcr < 0 || pcr > 23 || i > 0 && pcr <= f.PCRs[i-1] {
				return malformed("PCRs %v", f.PCRs[:i+1])
			}
		}
		return within(maxText, []byte(f.ID), []byte(f.Device), f.Nonce)
	})
}

func (m *Evidence) read(from form) error {
	f := evidenceFrame{Evidence: new(Evidence)}
	return read(m, f.Evidence, from, &f, func() (err error) {
		if f.Evidence.Quote, err = f.Quote.quote(); err != nil {
			return err
		}
		for _, s := range f.Keys {
			f.Evidence.Keys = append(f.Evidence.Keys, (*attest.Statement)(s))
		}
		if err := within(maxText, []byte(f.ID), []byte(f.Device)); err != nil {
			return err
		}
		return f.limits()
	})
}

func (m *Verdict) read(from form) error {
	f := verdictFrame{Verdict: new(Verdict)}
	return read(m, f.Verdict, from, &f, func() error { return within(maxReason, []byte(f.Reason)) })
}

func (p *Policy) read(from form) error {
	f := policyFrame{Policy: new(Policy)}
	err := read(p, f.Policy, from, &f, func() error {
		f.Policy.Bank = crypto.Hash(f.Bank)
		if err := f.valid(); err != nil {
			return malformed("%w", err)
		}
		return nil
	})
	if err != nil {
		return &badPolicy{err}
	}
	return nil
}
