package drstest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/whiteglove/whiteglove/drs"
)

// joinHybrid is the join type of a computer of Active Directory.
const joinHybrid = 6

// subIdentity is the subcode for a computer that is not authenticated.
const subIdentity = "ClientIdentityInvalid"

// AddComputer adds a computer of Active Directory as a synchronization does: a disabled
// object with the computer's security identifier, such as "S-1-5-21-1-2-3-1104", and its
// self-signed certificate (the attribute userCertificate) for an RSA key. It returns the
// device identifier, which stands for the computer's objectGUID, for [drs.Computer].
//
// The error is of no exported type. It is not nil if sid does not begin with "S-1-5-21-" or
// cert is not such a certificate.
func (s *Server) AddComputer(sid string, cert *x509.Certificate) (deviceID string, err error) {
	if cert == nil || !strings.HasPrefix(sid, "S-1-5-21-") {
		return "", fmt.Errorf("drstest: add computer: the certificate is missing, or the SID %q is not valid", sid)
	}
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok || !bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		return "", errors.New("drstest: add computer: the certificate is not self-signed with an RSA key")
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return "", fmt.Errorf("drstest: add computer: %w", err)
	}
	o := &Object{DeviceID: newGUID(), ObjectID: newGUID(), ComputerSID: sid, computer: cert}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects.add(o)
	return o.DeviceID, nil
}

type clientIdentity struct {
	Type, Sid  string
	SignedBlob []byte
}

// A hybridRequest is a join with its data in the member ServerAdJoinData.
type hybridRequest struct {
	joinRequest
	ServerAdJoinData struct {
		TransportKey                                         []byte
		TargetDomain, TargetDomainID, SourceDomainController string
		DeviceType, OSVersion, DeviceDisplayName             string
		ClientIdentity                                       clientIdentity
	}
}

// serveHybrid joins a computer of Active Directory.
func (s *Server) serveHybrid(w http.ResponseWriter, r *http.Request, id string) error {
	version := r.URL.Query().Get("api-version")
	if version != "1.0" && version != "2.0" {
		return badRequest("api-version %q", version)
	}
	q := new(hybridRequest)
	if err := readJSON(w, r, q); err != nil {
		return err
	}
	data := &q.ServerAdJoinData
	switch {
	case q.JoinType != joinHybrid:
		return badRequest("join type %d", q.JoinType)
	case !strings.EqualFold(data.TargetDomainID, s.tenantID()):
		return badRequest("target domain is %q", data.TargetDomainID)
	case len(q.TransportKey) > 0 || len(q.DeviceKeys) > 0 || len(q.AttestationData) > 0:
		return badRequest("a key or an attestation is outside ServerAdJoinData")
	}
	if err := s.checkIdentity(id, &data.ClientIdentity); err != nil {
		return noJoin(subIdentity, "client identity: %w", err)
	}
	j := &join{joinRequest: q.joinRequest, version: version, deviceID: id}
	j.JoinType, j.TransportKey = int(drs.JoinTenant), data.TransportKey
	j.DeviceType, j.OSVersion, j.DeviceDisplayName = data.DeviceType, data.OSVersion, data.DeviceDisplayName
	cert, err := s.join(j)
	if err != nil {
		return err
	}
	return s.replyJoin(w, http.StatusOK, j, cert)
}

// checkIdentity checks that the computer with a device identifier signed the SID and the time
// of a hybrid join. As in the real service, the signature does not cover the certificate
// request, so that it can be used again while the time is recent.
func (s *Server) checkIdentity(id string, c *clientIdentity) error {
	if c.Type != "sha256signed" {
		return fmt.Errorf("type %q", c.Type)
	}
	sid, at, _ := strings.Cut(c.Sid, ".")
	when, err := time.Parse("2006-01-02 15:04:05Z", at)
	if err != nil {
		return err
	}
	if age := s.now().Sub(when); age.Abs() > skew {
		return fmt.Errorf("it was signed %v ago", age)
	}
	s.mu.Lock()
	o := s.byDeviceID(id)
	s.mu.Unlock()
	if o == nil || o.computer == nil {
		return errors.New("the directory has no such computer")
	}
	if sid != o.ComputerSID {
		return fmt.Errorf("%q is the SID of another computer", sid)
	}
	key, ok := o.computer.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("the computer's key is not an RSA key")
	}
	digest := sha256.Sum256([]byte(c.Sid))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], c.SignedBlob)
}
