package drstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// A slowKey calls a function at each signature.
type slowKey struct {
	crypto.Signer
	before func()
}

func (k slowKey) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.before()
	return k.Signer.Sign(r, digest, opts)
}

// slow makes the server's CA call before at each signature.
func (s *Server) slow(t *testing.T, before func()) {
	t.Helper()
	ca, err := s.authority()
	if err != nil {
		t.Fatal(err)
	}
	own, key := *ca, ca.key
	if k, ok := key.(slowKey); ok {
		key = k.Signer
	}
	own.key = slowKey{key, before}
	s.ca = &own
}

// free reports whether the server's lock is free.
func (s *Server) free() bool {
	if !s.mu.TryLock() {
		return false
	}
	s.mu.Unlock()
	return true
}

// newKeyP256 returns a new key.
func newKeyP256(t testing.TB) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}

// ownJoin returns a join of a user without a token, as far as commit reads it.
func ownJoin(t testing.TB, s *Server) *join {
	t.Helper()
	key := newKeyP256(t)
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &join{device: key, spki: der, user: &User{UPN: "ada@contoso.test", ObjectID: newGUID(), Quota: 1 << 20}, joinRequest: joinRequest{JoinType: int(drs.JoinTenant)}}
}

// The server is not locked while it signs a certificate or a ticket.
func TestSignsUnlocked(t *testing.T) {
	s := new(Server)
	signed := 0
	s.slow(t, func() {
		if signed++; !s.free() {
			t.Error("locked")
		}
	})
	if _, err := s.commit(ownJoin(t, s)); err != nil || signed != 1 {
		t.Errorf("%d signatures: %v", signed, err)
	}
	if _, err := s.AddDevice(newKeyP256(t)); err != nil || signed != 2 {
		t.Errorf("%d signatures: %v", signed, err)
	}
}

// A join of which nothing stands any more when its certificate is made is refused, or repeats the
// join that came between.
func TestChangedWhileSigning(t *testing.T) {
	t.Run("removed", func(t *testing.T) {
		s := new(Server)
		id, err := s.Import(newKeyP256(t))
		if err != nil {
			t.Fatal(err)
		}
		j := ownJoin(t, s)
		j.user, j.token = nil, &ticketClaims{ZTDID: id}
		j.token.ID = "1"
		s.keepTicket("1", new(ticket), time.Now())
		o, _ := s.Object(id)
		s.slow(t, func() { s.Remove(o.DeviceID) })
		if _, err := s.commit(j); err == nil || !strings.Contains(err.Error(), "gone") || len(s.Objects()) != 0 {
			t.Errorf("%v, %d objects", err, len(s.Objects()))
		}
	})
	t.Run("joined", func(t *testing.T) {
		s := new(Server)
		j := ownJoin(t, s)
		var between *x509.Certificate
		s.slow(t, func() {
			s.slow(t, func() {})
			var err error
			if between, err = s.commit(j); err != nil {
				t.Error(err)
			}
		})
		cert, err := s.commit(j)
		if err != nil || !cert.Equal(between) || len(s.Objects()) != 1 || len(s.Objects()[0].Certificates) != 1 {
			t.Errorf("%v, %d objects", err, len(s.Objects()))
		}
	})
	t.Run("another object", func(t *testing.T) { // with the attestation key of the join
		s := new(Server)
		first, j := ownJoin(t, s), ownJoin(t, s)
		for _, own := range []*join{first, j} {
			own.aikName, own.Attributes = "000b", attributes{"ReuseDevice": "true"}
		}
		s.slow(t, func() {
			s.slow(t, func() {})
			if _, err := s.commit(first); err != nil {
				t.Error(err)
			}
		})
		cert, err := s.commit(j)
		if all := s.Objects(); err != nil || len(all) != 1 || cert.Subject.CommonName != all[0].DeviceID || len(all[0].Certificates) != 2 {
			t.Errorf("%v, %d objects", err, len(all))
		}
	})
	t.Run("nonce", func(t *testing.T) {
		s := new(Server)
		j := ownJoin(t, s)
		j.csrNonce = s.drsNonces.issue(time.Now(), base64.StdEncoding)
		s.slow(t, func() { s.drsNonces.use(j.csrNonce, time.Now()) })
		if _, err := s.commit(j); err == nil || !strings.Contains(err.Error(), "nonce") || len(s.Objects()) != 0 {
			t.Errorf("%v, %d objects", err, len(s.Objects()))
		}
	})
}

// A fault can be set and met while the server is locked.
func TestFaultsHaveALock(t *testing.T) {
	s := new(Server)
	s.mu.Lock()
	defer s.mu.Unlock()
	set := make(chan Fault)
	go func() {
		s.SetFault("Join", FaultBusy)
		set <- s.fault("Join")
	}()
	select {
	case f := <-set:
		if f != FaultBusy {
			t.Error(f)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the fault waits for the directory")
	}
}

// When there are too many nonces, the oldest ones go, and no other.
func TestOldestNonceGoes(t *testing.T) {
	const over = 100
	var n nonces
	now := time.Now()
	var all []string
	for range 10000 + over {
		all = append(all, n.issue(now, base64.StdEncoding))
	}
	for i, nonce := range all {
		if got := n.valid(nonce, now); got != (i >= over) {
			t.Fatalf("nonce %d of %d: valid %v", i, len(all), got)
		}
	}
	if n.issue(now.Add(nonceLife+1), base64.StdEncoding); n.Len() != 1 {
		t.Errorf("%d are left when all but one have expired", n.Len())
	}
}

// Challenges that were answered do not count, and each answer is the only one.
func TestManyChallenges(t *testing.T) {
	s := new(Server)
	for i := range challengeLimit + 100 {
		ch := &challenge{ek: [32]byte{byte(i), byte(i >> 8)}}
		id, err := s.keepChallenge(ch)
		if err != nil {
			t.Fatalf("challenge %d: %v", i, err)
		}
		if got, err := s.useChallenge(id); err != nil || got != ch {
			t.Fatal(err)
		}
		if _, err := s.useChallenge(id); err == nil || !strings.Contains(err.Error(), "before") {
			t.Fatalf("answered twice: %v", err)
		}
	}
	if len(s.challenges.perEK) != 0 || s.challenges.open.Len() != 0 {
		t.Errorf("%d keys and %d challenges are left", len(s.challenges.perEK), s.challenges.open.Len())
	}
}

// Challenges that nobody answers fill the list only until they expire, and one key has its own
// limit.
func TestOpenChallenges(t *testing.T) {
	now := time.Now()
	s := &Server{Now: func() time.Time { return now }}
	for i := range challengesPerEK + 1 {
		if _, err := s.keepChallenge(new(challenge)); (err != nil) != (i == challengesPerEK) {
			t.Errorf("challenge %d of a key: %v", i, err)
		}
	}
	n := challengesPerEK
	for ; n < challengeLimit; n++ {
		if _, err := s.keepChallenge(&challenge{ek: [32]byte{1, byte(n), byte(n >> 8)}}); err != nil {
			t.Fatalf("challenge %d: %v", n, err)
		}
	}
	if _, err := s.keepChallenge(&challenge{ek: [32]byte{2}}); err == nil {
		t.Error("there is no limit")
	}
	now = now.Add(challengeLife + 1)
	if _, err := s.keepChallenge(new(challenge)); err != nil || s.challenges.open.Len() != 1 || len(s.challenges.perEK) != 1 {
		t.Errorf("after their expiry: %v, %d", err, s.challenges.open.Len())
	}
}

// A refresh token outlives the 10000th one after it, but not one more. The others stay.
func TestOldestGrantGoes(t *testing.T) {
	s := new(Server)
	s.AddUser(User{UPN: "ada@contoso.test"})
	var all []string
	for range 10001 {
		all = append(all, newGrant(&s.refresh, grant{upn: "ada@contoso.test", client: "x"}))
	}
	for i, token := range all {
		if _, err := s.byRefreshToken(token, "x"); (err == nil) != (i > 0) {
			t.Fatalf("token %d: %v", i, err)
		}
	}
}

// Joins at the same time, each repeated at once, make one object each.
func TestJoinsAtOnce(t *testing.T) {
	const devices, times = 8, 4
	s := new(Server)
	var wg sync.WaitGroup
	certs := make([][times]*x509.Certificate, devices)
	for i := range devices {
		j := ownJoin(t, s)
		for k := range times {
			wg.Go(func() {
				own := *j
				cert, err := s.commit(&own)
				if err != nil {
					t.Error(err)
				}
				certs[i][k] = cert
				s.SetFault("Join", FaultNone)
				s.fault("Join")
				s.Objects()
			})
		}
	}
	wg.Wait()
	for i, all := range certs {
		for _, c := range all {
			if c == nil || !c.Equal(all[0]) {
				t.Errorf("device %d has several certificates", i)
			}
		}
	}
	if n := len(s.Objects()); n != devices {
		t.Errorf("%d objects", n)
	}
}

// What finds an object by an index finds the one that a search does, whatever happens to it.
func TestObjectIndex(t *testing.T) {
	s := new(Server)
	var all []*Object
	key := newKeyP256(t)
	for i := range 12 {
		o := &Object{DeviceID: newGUID(), AIKName: []string{"", "a", "b"}[i%3]}
		if i%2 == 0 {
			o.ZTDID, o.EK = newGUID(), [32]byte{byte(i + 1)}
		}
		cert, err := s.issue(&Object{DeviceID: o.DeviceID, ObjectID: newGUID()}, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		o.Certificates = append(o.Certificates, cert)
		s.objects.add(o)
		all = append(all, o)
	}
	check := func(when string) {
		t.Helper()
		first := func(is func(o *Object) bool) *Object {
			for _, o := range s.objects.list {
				if is(o) {
					return o
				}
			}
			return nil
		}
		for i, o := range all {
			in := first(func(x *Object) bool { return x == o })
			if s.byDeviceID(strings.ToUpper(o.DeviceID)) != in || o.ZTDID != "" && (s.byZTDID(o.ZTDID) != in || s.byEK(o.EK) != in) {
				t.Errorf("%s: object %d is not found by its names", when, i)
			}
			for _, c := range o.Certificates {
				if s.byCertificate(c) != in {
					t.Errorf("%s: object %d is not found by its certificate", when, i)
				}
			}
		}
		for _, name := range []string{"", "a", "b", "c"} {
			if want := first(func(x *Object) bool { return name != "" && x.AIKName == name }); s.byAIK(name) != want {
				t.Errorf("%s: attestation key %q finds another object", when, name)
			}
		}
		if s.byZTDID("") != nil || s.byEK([32]byte{}) != nil {
			t.Errorf("%s: the empty name finds an object", when)
		}
	}
	check("added")
	s.objects.update(all[4], func() { all[4].AIKName = "b" })
	s.objects.update(all[2], func() { all[2].AIKName = "c" })
	check("another key")
	cert := all[5].Certificates[0]
	s.objects.update(all[5], func() { all[5].Certificates = nil })
	if s.byCertificate(cert) != nil {
		t.Error("a certificate that was taken away finds its object")
	}
	check("without certificates")
	for _, i := range []int{1, 0, 11, 4} {
		s.objects.remove(all[i])
		check(fmt.Sprint("removed ", i))
	}
	if len(s.objects.list) != 8 {
		t.Errorf("%d are left", len(s.objects.list))
	}
	for _, o := range s.Objects() {
		for _, id := range []string{o.DeviceID, strings.ToUpper(o.DeviceID), o.ZTDID} {
			if got, ok := s.Object(id); id != "" && (!ok || got.DeviceID != o.DeviceID) {
				t.Errorf("%q finds %v", id, ok)
			}
		}
	}
	if _, ok := s.Object(""); ok {
		t.Error("there is a device without a name")
	}
}

// BenchmarkCommit joins devices, at several at the same time.
func BenchmarkCommit(b *testing.B) {
	for _, kept := range []int{0, 10000} {
		b.Run(fmt.Sprintf("kept=%d", kept), func(b *testing.B) {
			s := new(Server)
			for range kept {
				s.objects.add(&Object{DeviceID: newGUID()})
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				j := ownJoin(b, s)
				for n := 0; pb.Next(); n++ {
					own := *j
					own.csrNonce = s.newNonce("Nonce", &s.drsNonces, base64.StdEncoding)
					if _, err := s.commit(&own); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
