package ekcert

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemDash  = "-----"
)

// splitPEM returns the certificates in a text. Unlike [pem.Decode], it also reads
// blocks without line breaks, as they come out of a form or a shell variable.
func splitPEM(text string) ([][]byte, error) {
	var ders [][]byte
	for {
		_, block, found := strings.Cut(text, pemBegin)
		if !found {
			break
		}
		kind, block, _ := strings.Cut(block, pemDash)
		body, rest, ended := strings.Cut(block, pemEnd+kind+pemDash)
		der := fromBase64(body)
		switch text = rest; {
		case !ended && !strings.Contains(body, pemEnd+kind):
			return nil, errors.New("its PEM ends in the middle of a block")
		case !ended || der == nil:
			return nil, errors.New("a block of its PEM is damaged")
		}
		switch kind {
		case "CERTIFICATE", "X509 CERTIFICATE":
		case "TRUSTED CERTIFICATE": // openssl's: what it may be trusted for follows
			if own, _, err := splitDER(der); err == nil {
				der = own[0]
			}
		case "ATTRIBUTE CERTIFICATE":
			return nil, errAttribute
		default:
			return nil, fmt.Errorf("PEM block is a %q, not a CERTIFICATE", kind)
		}
		if len(ders) == maxCertificates {
			return nil, errors.New("too many certificates")
		}
		ders = append(ders, der)
	}
	return ders, nil
}

// fromBase64 decodes base64, the usual or that for URLs, with or without padding and
// white space. It returns nil if text is something else.
func fromBase64(text string) []byte {
	text = strings.Join(strings.Fields(text), "")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}
