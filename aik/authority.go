package aik

import (
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
)

// placeholder stands for the authority's name in Client.URL.
const placeholder = "{authority}"

// windowsURL is where the attestation CA of Windows serves.
const windowsURL = "https://" + placeholder + ".microsoftaik.azure.net/templates/Aik/scep"

// URLs returns the addresses at which Windows's attestation CA may serve a TPM,
// likeliest first. vendor is the TPM's TCG vendor ID, such as "INTC"; chain is
// its endorsement certificate, followed by the issuers as far as known.
//
// The host is named after the key identifier of the issuer of the endorsement
// certificate. For some makers it is that of an issuer further up. Without key
// identifiers there are no addresses.
func URLs(vendor string, chain []*x509.Certificate) []string {
	return expand(windowsURL, vendor, chain)
}

// expand puts the names of the authorities into a URL. A URL without a place
// for them is the only one.
func expand(url, vendor string, chain []*x509.Certificate) []string {
	if !strings.Contains(url, placeholder) {
		return []string{url}
	}
	var urls []string
	for _, c := range chain {
		if len(c.AuthorityKeyId) == 0 {
			continue
		}
		name := vendorName(vendor) + "-KeyId-" + hex.EncodeToString(c.AuthorityKeyId)
		u := strings.ReplaceAll(url, placeholder, name)
		if !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	return urls
}

// vendorName returns a vendor ID as host names have it: "INTC" for "id:494E5443"
// and for "INTC", "IFX" for "IFX ", and eight hexadecimal digits for what has no
// letters.
func vendorName(id string) string {
	raw, err := hex.DecodeString(strings.TrimPrefix(id, "id:"))
	if !strings.HasPrefix(id, "id:") || err != nil {
		raw = []byte(id)
	}
	name := strings.Trim(string(raw), "\x00 ")
	for _, r := range name {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return strings.ToUpper(hex.EncodeToString(raw))
		}
	}
	return name
}
