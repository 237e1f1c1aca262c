package softtpm

import (
	"bytes"
	"time"
)

// checkPolicy checks that the session of a fulfills the policy of its entity
// (part 1, 19.7).
func (t *TPM) checkPolicy(c *call, a *authorization, params []byte) code {
	p := &a.sess.pol
	switch {
	case p.pcrCount != 0 && p.pcrCount != t.pcrCount+1:
		return rcPCRChanged
	case p.cc == 0 && a.role == admin:
		return rcPolicyFail
	}
	alg, want := a.ent.policyOf()
	switch {
	case alg != a.sess.hash || !bytes.Equal(want, p.digest):
		return rcPolicyFail
	case p.cc != 0 && p.cc != c.cc:
		return rcPolicyCC
	case !p.deadline.IsZero() && time.Now().After(p.deadline):
		return rcExpired
	case p.cpHash != nil && !bytes.Equal(p.cpHash, c.cpHash(alg, params)):
		return rcPolicyFail
	}
	return 0
}

// extend extends the policy digest.
func (s *session) extend(parts ...[]byte) {
	s.pol.digest = digest(s.hash, append([][]byte{s.pol.digest}, parts...)...)
}

// policySecret is TPM2_PolicySecret (part 3, 23.4).
func policySecret(t *TPM, c *call) code {
	in := &c.in
	nonce := in.at(1).sized(maxNonce)
	cpHash := in.at(2).sized(maxDigest)
	ref := in.at(3).sized(maxNonce)
	expiration := int32(in.at(4).u32())
	if rc := in.end(); rc != 0 {
		return rc
	}
	s := c.ent[1].sess
	if !s.trial {
		switch {
		case len(nonce) > 0 && !bytes.Equal(nonce, s.nonceTPM):
			return rcNonce.param(1)
		case len(cpHash) > 0 && len(cpHash) != digestSize(s.hash):
			return rcSize.param(2)
		case len(cpHash) > 0 && s.pol.cpHash != nil && !bytes.Equal(cpHash, s.pol.cpHash):
			return rcCpHash
		}
		if len(cpHash) > 0 {
			s.pol.cpHash = cpHash
		}
		if !s.limit(t.base(s, nonce), expiration) {
			return rcExpired.param(4)
		}
	}
	s.extend(be32(c.cc), c.ent[0].name)
	s.extend(ref)
	c.out.sized(nil) // no timeout: no ticket is given
	c.out.u16(tkAuthSecret)
	c.out.u32(rhNull)
	c.out.sized(nil)
	return 0
}

// base returns when the time limit of a policy begins: when the session did if
// its nonce is named, else when the TPM was started.
func (t *TPM) base(s *session, nonce []byte) time.Time {
	if len(nonce) > 0 {
		return s.pol.start
	}
	return t.started
}

// limit makes the session expire that many seconds after base, if it does not
// earlier. It reports false if that is past.
func (s *session) limit(base time.Time, seconds int32) bool {
	if seconds == 0 {
		return true
	}
	d := time.Duration(seconds) * time.Second
	if d < 0 {
		d = -d
	}
	end := base.Add(d)
	if s.pol.deadline.IsZero() || end.Before(s.pol.deadline) {
		s.pol.deadline = end
	}
	return time.Now().Before(end)
}

// policyOR is TPM2_PolicyOR (part 3, 23.6).
func policyOR(_ *TPM, c *call) code {
	in := &c.in
	n := in.at(1).u32()
	if in.err == 0 && (n < 2 || n > 8) {
		in.fail(rcSize)
	}
	var list [][]byte
	for i := uint32(0); i < n && in.err == 0; i++ {
		list = append(list, in.sized(maxDigest))
	}
	if rc := in.end(); rc != 0 {
		return rc
	}
	s := c.ent[0].sess
	met := s.trial
	for _, d := range list {
		met = met || bytes.Equal(d, s.pol.digest)
	}
	if !met {
		return rcValue.param(1)
	}
	s.pol.digest = make([]byte, digestSize(s.hash))
	s.extend(append([][]byte{be32(c.cc)}, list...)...)
	return 0
}

// policyCommandCode is TPM2_PolicyCommandCode (part 3, 23.11).
func policyCommandCode(_ *TPM, c *call) code {
	cc := c.in.at(1).u32()
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	s := c.ent[0].sess
	switch {
	case s.pol.cc != 0 && s.pol.cc != cc:
		return rcValue.param(1)
	case commands()[cc] == nil:
		return rcPolicyCC.param(1)
	}
	s.pol.cc = cc
	s.extend(be32(c.cc), be32(cc))
	return 0
}

// policyAuthValue is TPM2_PolicyAuthValue (part 3, 23.17).
func policyAuthValue(_ *TPM, c *call) code {
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	s := c.ent[0].sess
	s.extend(be32(c.cc))
	s.pol.authValue = true
	return 0
}

// policyPCR is TPM2_PolicyPCR (part 3, 23.7).
func policyPCR(t *TPM, c *call) code {
	in := &c.in
	want := in.at(1).sized(maxDigest)
	sel := in.at(2).pcrSelection()
	if rc := in.end(); rc != 0 {
		return rc
	}
	s := c.ent[0].sess
	now := t.pcrDigest(s.hash, sel)
	if !s.trial {
		switch {
		case s.pol.pcrCount != 0 && s.pol.pcrCount != t.pcrCount+1:
			return rcPCRChanged
		case len(want) > 0 && !bytes.Equal(want, now):
			return rcValue.param(1)
		}
		s.pol.pcrCount = t.pcrCount + 1
	} else if len(want) > 0 {
		now = want
	}
	var w writer
	w.pcrSelection(sel)
	s.extend(be32(c.cc), w.b, now)
	return 0
}

// policyGetDigest is TPM2_PolicyGetDigest (part 3, 23.20).
func policyGetDigest(_ *TPM, c *call) code {
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	c.out.sized(c.ent[0].sess.pol.digest)
	return 0
}
