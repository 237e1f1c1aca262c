package main

import (
	"crypto/x509/pkix"
	"fmt"
	"strings"
)

// parseSubject parses a name such as CN=device,O=company. A comma after a
// backslash separates nothing: it belongs to the value.
func parseSubject(text string) (pkix.Name, error) {
	var name pkix.Name
	const comma = "\x00"
	for part := range strings.SplitSeq(strings.ReplaceAll(text, `\,`, comma), ",") {
		if strings.TrimSpace(part) == "" && text == "" {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.ReplaceAll(value, comma, ",")
		if !ok || value == "" {
			return name, fmt.Errorf("-subject: %q is not like CN=device", part)
		}
		switch strings.ToUpper(key) {
		case "CN":
			name.CommonName = value
		case "SERIALNUMBER":
			name.SerialNumber = value
		case "O":
			name.Organization = append(name.Organization, value)
		case "OU":
			name.OrganizationalUnit = append(name.OrganizationalUnit, value)
		case "C":
			name.Country = append(name.Country, value)
		case "L":
			name.Locality = append(name.Locality, value)
		case "ST":
			name.Province = append(name.Province, value)
		default:
			return name, fmt.Errorf("-subject: %q is not one of CN, SERIALNUMBER, O, OU, C, L, ST", key)
		}
	}
	return name, nil
}
