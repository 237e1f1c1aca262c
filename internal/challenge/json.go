package challenge

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/whiteglove/whiteglove/scep"
)

// jsonVersion is raised when older programs must not read what is written.
const jsonVersion = 1

// Limits of a carried exchange, which has some 15 kB.
const (
	maxJSON         = 256 << 10
	maxCertificates = 32
	maxKey          = 8 << 10
)

// An exchangeJSON is an Exchange in JSON. Certificates, keys and requests are DER; what
// is binary is in base64.
type exchangeJSON struct {
	Version         int       `json:"version"`
	URL             string    `json:"url"`
	RequestID       string    `json:"requestId,omitempty"`
	TransactionID   string    `json:"transactionId"`
	Capabilities    scep.Caps `json:"capabilities"`
	Certificates    [][]byte  `json:"certificates"` // of the CA
	Recipient       []byte    `json:"recipient"`    // of the CA's, who may read
	Replier         []byte    `json:"replier"`      // of the CA's, who signs
	CSR             []byte    `json:"csr"`
	Certificate     []byte    `json:"certificate"`         // of the messages' signer
	Key             []byte    `json:"signerKey,omitempty"` // PKCS #8; absent if it cannot be had
	Blob            []byte    `json:"credentialBlob"`
	EncryptedSecret []byte    `json:"encryptedSecret"`
	Context         []byte    `json:"context"`
}

// Marshal encodes x to be carried to where it is completed. Of what signs the
// messages, a key is in it only if it can be had.
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

// Parse decodes what Marshal encoded. Whether the CA is to be trusted is not
// checked.
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
	if x.Certificate, err = x509.ParseCertificate(in.Certificate); err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	if len(in.Key) > 0 {
		x.Signer, err = parseSigner(in.Key, x.Certificate)
	}
	return x, err
}

// check checks all but certificates and key.
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

// authority returns the CA. Who reads and signs is among its certificates.
func (in *exchangeJSON) authority() (*scep.CA, error) {
	ca := &scep.CA{Caps: in.Capabilities}
	for _, der := range in.Certificates {
		cert, err := x509.ParseCertificate(der)
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
