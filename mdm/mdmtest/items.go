package mdmtest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/big"
	"regexp"
	"strings"
)

var (
	deviceID   = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)
	hardwareID = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
	anything   = regexp.MustCompile(`^.{1,255}$`)
	boolean    = regexp.MustCompile(`^(?i:true|false)$`)
	base64Text = regexp.MustCompile(`^[0-9A-Za-z+/]+={0,2}$`)
)

// required are the items every request must have once, with their form.
var required = map[string]*regexp.Regexp{
	"OSEdition": decimal, "OSVersion": fourNumbers, "ApplicationVersion": fourNumbers,
	"DeviceID": deviceID, "HWDevID": hardwareID, "DeviceName": anything,
	"DeviceType": regexp.MustCompile("^(" + strings.Join(deviceTypes, "|") + ")$"),
	// The other type is for users.
	"EnrollmentType": regexp.MustCompile("^(Device|Full)$"),
}

// optional are further items whose form is known. They may be there once.
var optional = map[string]*regexp.Regexp{
	"ZeroTouchProvisioning": guid, "WhiteGlove": boolean, "WhiteGloveHybridJoin": boolean, "PlugandForget": boolean,
	"NotInOobe": boolean, "UXInitiated": boolean, "ExternalMgmtAgentHint": boolean, "BulkAADJ": boolean,
	"AIKCert": base64Text, "AIKPub": base64Text, "AIKAttestationClaim": base64Text,
	"AADPub": base64Text, "AadAIKAttestationClaim": base64Text,
	"RequestVersion": version,
}

// items are the context of a request, by name.
type items map[string][]string

// get returns the first value of an item, or "".
func (i items) get(name string) string {
	if len(i[name]) == 0 {
		return ""
	}
	return i[name][0]
}

func (i items) has(name string) bool { return len(i[name]) > 0 }

func (i items) isTrue(name string) bool { return strings.EqualFold(i.get(name), "true") }

// check checks each item for itself.
func (i items) check() error {
	for name, form := range required {
		if len(i[name]) != 1 {
			return badItem("context item %s is there %d times", name, len(i[name]))
		}
		if !form.MatchString(i.get(name)) {
			return badItem("context item %s is %.100q", name, i.get(name))
		}
	}
	for name, form := range optional {
		switch {
		case len(i[name]) > 1:
			return badItem("context item %s is there %d times", name, len(i[name]))
		case i.has(name) && !form.MatchString(i.get(name)):
			return badItem("context item %s is %.100q", name, i.get(name))
		}
	}
	return nil
}

// checkKind checks that the items fit the token of a device, which enrolls by
// pre-provisioning or self-deployment only, and that the device is registered
// for it if that is asked.
func (s *Server) checkKind(i items) error {
	kind := i.isTrue("WhiteGlove") || i.isTrue("WhiteGloveHybridJoin") || i.isTrue("PlugandForget")
	if i.get("EnrollmentType") != "Device" || !kind {
		return malformed("device based token is not supported for this enrollment type: it wants EnrollmentType Device, " +
			"and WhiteGlove or PlugandForget")
	}
	ztdID := strings.ToLower(i.get("ZeroTouchProvisioning"))
	if s.Registered != nil && (ztdID == "" || !s.Registered(ztdID)) {
		return &fault{subcode: authorizationFault, errorType: "DeviceNotSupported", reason: errors.New("device identifier not preregistered")}
	}
	return nil
}

// checkAttestation checks what can be checked of the attestation items: that
// keys and certificate are well formed and fit each other, that the
// certificate is of a known CA, and that no claim comes without its key.
func (s *Server) checkAttestation(i items) error {
	if i.has("AzureAttestationBlob") {
		return badItem("AzureAttestationBlob was not asked for")
	}
	aik, err := publicKey(i.get("AIKPub"))
	if err != nil {
		return badItem("AIKPub: %w", err)
	}
	aad, err := publicKey(i.get("AADPub"))
	if err != nil {
		return badItem("AADPub: %w", err)
	}
	if i.has("AIKCert") {
		cert, err := s.checkAIKCert(i.get("AIKCert"))
		if err != nil {
			return badItem("AIKCert: %w", err)
		}
		if aik != nil && !aik.Equal(cert.PublicKey) {
			return badItem("AIKCert is of another key than AIKPub")
		}
		aik, _ = cert.PublicKey.(*rsa.PublicKey)
	}
	if (i.has("AIKAttestationClaim") || i.has("AadAIKAttestationClaim")) && aik == nil {
		return badItem("an attestation claim has neither AIKCert nor AIKPub")
	}
	if i.has("AadAIKAttestationClaim") != (aad != nil) {
		return badItem("one of AadAIKAttestationClaim and AADPub is missing")
	}
	return nil
}

func (s *Server) checkAIKCert(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("not of an RSA key")
	}
	if s.AIKRoots == nil {
		return cert, nil
	}
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: s.AIKRoots, CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return cert, err
}

// publicKey reads a BCRYPT_RSAPUBLIC_BLOB in base64; nil for "".
func publicKey(text string) (*rsa.PublicKey, error) {
	if text == "" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	const header = 24
	if len(b) < header || string(b[:4]) != "RSA1" {
		return nil, errors.New("no BCRYPT_RSAPUBLIC_BLOB")
	}
	field := func(n int) int { return int(binary.LittleEndian.Uint32(b[4*n:])) }
	bits, exp, mod := field(1), field(2), field(3)
	if exp < 1 || exp > 4 || mod < 128 || mod > 1024 || bits != 8*mod || field(4) != 0 || field(5) != 0 || len(b) != header+exp+mod {
		return nil, errors.New("BCRYPT_RSAPUBLIC_BLOB of wrong lengths")
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(b[header+exp:])}
	for _, v := range b[header : header+exp] {
		key.E = key.E<<8 | int(v)
	}
	return key, nil
}
