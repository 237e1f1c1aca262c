package challenge

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/scep"
)

// jsonVersion is the version of the format. It changes if older programs must not
// read newer files.
const jsonVersion = 1

// Limits of an exchange in JSON, which usually has about 15 kB.
const (
	maxJSON         = 256 << 10 // bytes
	maxCertificates = 32
	maxKey          = 8 << 10 // bytes
)

// An exchangeJSON is an Exchange in JSON. Certificates, keys and requests are in DER;
// binary values are in base64.
type exchangeJSON struct {
	Version         int       `json:"version"`
	URL             string    `json:"url"`
	RequestID       string    `json:"requestId,omitempty"`
	TransactionID   string    `json:"transactionId"`
	Capabilities    scep.Caps `json:"capabilities"`
	Certificates    [][]byte  `json:"certificates"` // of the CA
	Recipient       []byte    `json:"recipient"`    // one of Certificates
	Replier         []byte    `json:"replier"`      // one of Certificates: scep.CA.Signer
	CSR             []byte    `json:"csr"`
	Certificate     []byte    `json:"certificate"`         // of the signer of messages
	Key             []byte    `json:"signerKey,omitempty"` // PKCS #8; absent if it cannot be exported
	Blob            []byte    `json:"credentialBlob"`
	EncryptedSecret []byte    `json:"encryptedSecret"`
	Context         []byte    `json:"context"`
}

// Marshal encodes x in JSON, so that another process can complete it. The result has
// the key of Signer if that is an *[rsa.PrivateKey]; other keys cannot be exported.
// It is then confidential, because the CA recognizes the client by this key. The
// error is that of the encoding.
func (x *Exchange) Marshal() ([]byte, error) {
	key, err := marshalSigner(x.Signer)
	if err != nil {
		return nil, err
	}
	out := &exchangeJSON{
		Version: jsonVersion, URL: x.URL, RequestID: x.RequestID, TransactionID: x.Transaction,
		Capabilities: x.CA.Caps, Recipient: x.CA.Recipient.Raw, Replier: x.CA.Signer.Raw,
		CSR: x.CSR, Certificate: x.Certificate.Raw, Key: key,
		Blob: x.Blob, EncryptedSecret: x.EncryptedSecret, Context: x.Context,
	}
	for _, cert := range x.CA.Chain {
		out.Certificates = append(out.Certificates, cert.Raw)
	}
	return json.Marshal(out)
}

// Parse decodes the result of Marshal. It does not check whether the CA can be
// trusted; see [Exchange.CheckTrust]. The error says which part is missing, too
// large or malformed.
func Parse(text []byte) (*Exchange, error) {
	if len(text) > maxJSON {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), maxJSON)
	}
	var in exchangeJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	x := &Exchange{
		URL: in.URL, RequestID: in.RequestID, CSR: in.CSR, Transaction: in.TransactionID,
		Blob: in.Blob, EncryptedSecret: in.EncryptedSecret, Context: in.Context,
	}
	var err error
	if x.CA, err = in.authority(); err != nil {
		return nil, err
	}
	if x.Certificate, err = cms.ParseCertificate(in.Certificate); err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	if len(in.Key) > 0 {
		x.Signer, err = parseSigner(in.Key, x.Certificate)
	}
	return x, err
}

// check checks all fields except the certificates and the key.
func (in *exchangeJSON) check() error {
	u, err := url.Parse(in.URL)
	switch {
	case in.Version != jsonVersion:
		return fmt.Errorf("version %d, not %d", in.Version, jsonVersion)
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("no absolute URL")
	case len(in.Blob) == 0 || len(in.EncryptedSecret) == 0 || len(in.Context) == 0 || in.TransactionID == "":
		return errors.New("a part is missing")
	case len(in.Certificates) > maxCertificates || len(in.Key) > maxKey:
		return errors.New("a part is too large")
	}
	_, err = Requested(in.CSR)
	return err
}

// authority returns the CA. Its recipient and its signer must be among its
// certificates.
func (in *exchangeJSON) authority() (*scep.CA, error) {
	ca := &scep.CA{Caps: in.Capabilities}
	for _, der := range in.Certificates {
		cert, err := cms.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("CA: %w", err)
		}
		ca.Chain = append(ca.Chain, cert)
	}
	find := func(der []byte) *x509.Certificate {
		i := slices.IndexFunc(ca.Chain, func(c *x509.Certificate) bool { return slices.Equal(c.Raw, der) })
		if i < 0 {
			return nil
		}
		return ca.Chain[i]
	}
	ca.Recipient, ca.Signer = find(in.Recipient), find(in.Replier)
	if ca.Recipient == nil || ca.Signer == nil {
		return nil, errors.New("CA: recipient or replier is not among the certificates")
	}
	return ca, nil
}
