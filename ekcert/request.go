package ekcert

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/whiteglove/whiteglove/internal/cms"
	"github.com/whiteglove/whiteglove/internal/roca"
	"github.com/whiteglove/whiteglove/internal/wcce"
)

// A Request describes the TPM whose endorsement key is to be certified. All fields
// are required, except that [Client.Begin] does not need Activate.
type Request struct {
	Vendor  string // maker: TCG vendor ID or short name, such as "INTC"
	Model   string // part number or name, such as the TPM's vendor string
	Version string // of the firmware: "id:00070055", or four numbers such as "7.85.4555.0"

	// EK is the endorsement key, an *[rsa.PublicKey] or *[ecdsa.PublicKey].
	EK crypto.PublicKey

	// AIKCreation is the creation statement of an attestation key of the same
	// TPM, made without a nonce (qualifyingData) and signed by that key itself.
	AIKCreation *Statement

	// Activate decrypts the CA's challenge with the endorsement key for the
	// attestation key, and returns the secret (TCG TPM 2.0 Library Part 3,
	// TPM2_ActivateCredential). blob is the contents of a TPM2B_ID_OBJECT, and
	// encryptedSecret those of a TPM2B_ENCRYPTED_SECRET, both without their
	// size. The method Activator of attest.TPM returns such a function.
	Activate func(ctx context.Context, blob, encryptedSecret []byte) ([]byte, error)
}

// A Statement is a TPM's signed statement that it created a key (TCG TPM 2.0 Library
// Part 3, TPM2_CertifyCreation). The fields have no size prefix. An *attest.Statement
// has the same fields and can be converted: (*ekcert.Statement)(s).
type Statement struct {
	PublicArea   []byte // TPMT_PUBLIC of the key
	Attest       []byte // TPMS_ATTEST
	Signature    []byte // TPMT_SIGNATURE over Attest
	CreationData []byte // TPMS_CREATION_DATA
}

// device returns the name of the TPM in the TCG's encoding.
func (r *Request) device() (*wcce.Device, error) {
	id, err := vendorID(VendorName(r.Vendor))
	if err != nil {
		return nil, fmt.Errorf("maker: %w", err)
	}
	version, err := versionID(r.Version)
	if err != nil {
		return nil, err
	}
	if r.Model == "" {
		return nil, errors.New("no model is given")
	}
	return &wcce.Device{Manufacturer: id, Model: r.Model, Version: version}, nil
}

// check checks that all fields that Begin needs are set and can be used.
func (r *Request) check() error {
	switch {
	case r.EK == nil:
		return errNoKey
	case possible(r.EK) != nil:
		return possible(r.EK)
	case roca.Weak(r.EK):
		return ErrWeakKey
	case r.AIKCreation == nil || len(r.AIKCreation.PublicArea) == 0 || len(r.AIKCreation.Attest) == 0 || len(r.AIKCreation.Signature) == 0 || len(r.AIKCreation.CreationData) == 0:
		return errors.New("no creation statement of an attestation key is given")
	}
	_, err := r.device()
	return err
}

// versionID returns a firmware version in the form of certificates: "id:" and, in
// hexadecimal, the first two of its four 16-bit numbers, which are
// TPM_PT_FIRMWARE_VERSION_1.
func versionID(version string) (string, error) {
	if isID(version) {
		return "id:" + strings.ToUpper(version[len("id:"):]), nil
	}
	parts := strings.Split(version, ".")
	var raw []byte
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || len(parts) != 4 {
			return "", fmt.Errorf("version %q is neither an ID nor four numbers", version)
		}
		raw = binary.BigEndian.AppendUint16(raw, uint16(n))
	}
	return fmt.Sprintf("id:%X", raw[:4]), nil
}

// csr returns the null-signed PKCS #10 request in DER, with the key, the name of the
// TPM, an EK_INFO encrypted to recipient, and a KAST.
func (r *Request) csr(recipient *x509.Certificate) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(r.EK)
	if err != nil {
		return nil, err
	}
	device, err := r.device()
	if err != nil {
		return nil, err
	}
	name, err := device.AltName(true)
	if err != nil {
		return nil, err
	}
	names, err := wcce.ExtensionsAttribute([]pkix.Extension{name})
	if err != nil {
		return nil, err
	}
	info, err := (&wcce.EKInfo{PublicKey: spki}).Marshal()
	if err != nil {
		return nil, err
	}
	sealed, err := cms.Encrypt(info, recipient, cms.AES128CBC)
	if err != nil {
		return nil, err
	}
	binding, err := (&wcce.IDBinding{
		PublicArea: r.AIKCreation.PublicArea, CreationData: r.AIKCreation.CreationData, Attest: r.AIKCreation.Attest, Signature: r.AIKCreation.Signature,
	}).Marshal()
	if err != nil {
		return nil, err
	}
	kast := (&wcce.KAST{IDBinding: binding}).Marshal()
	return wcce.MarshalCSR(spki, []wcce.Attribute{
		names, wcce.EKInfoAttribute(sealed), wcce.OctetAttribute(wcce.OIDAttestation, kast),
	})
}
