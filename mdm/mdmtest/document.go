package mdmtest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// providerID is the name of the management provider.
const providerID = "TestMDM"

// A writer writes a provisioning document.
type writer struct {
	strings.Builder
	quirks Quirks
	secret string // of the account's digest; if it is empty, a random one is written
}

// node writes a characteristic around content.
func (w *writer) node(name string, content func()) {
	w.WriteString(`<characteristic type="` + escape(name) + `">`)
	content()
	w.WriteString(`</characteristic>`)
}

// parm writes a parameter. An empty data type is left out.
func (w *writer) parm(name, value, datatype string) {
	w.WriteString(`<parm name="` + name + `" value="` + escape(value) + `"`)
	if datatype != "" {
		w.WriteString(` datatype="` + datatype + `"`)
	}
	w.WriteString(`/>`)
}

// certificate writes a certificate below its thumbprint.
func (w *writer) certificate(c *x509.Certificate) {
	name := fmt.Sprintf("%X", sha1.Sum(c.Raw))
	if w.quirks.LowerCaseThumbprints {
		name = strings.ToLower(name)
	}
	w.node(name, func() {
		w.parm("EncodedCertificate", base64.StdEncoding.EncodeToString(c.Raw), "")
	})
}

// store returns the scope of the store of a device's certificate.
func (w *writer) store() string {
	if w.quirks.UserStore {
		return "User"
	}
	return "System"
}

// own writes the certificate of a device.
func (w *writer) own(cert *x509.Certificate) {
	w.node("My", func() { w.node(w.store(), func() { w.certificate(cert); w.node("PrivateKeyContainer", func() {}) }) })
}

// document returns the provisioning document of a device.
func (s *Server) document(base, id, name string, cert *x509.Certificate) string {
	w := &writer{quirks: s.Quirks, secret: s.Session.DigestSecret}
	w.WriteString(`<wap-provisioningdoc version="1.1">`)
	w.node("CertificateStore", func() {
		w.node("Root", func() { w.node("System", func() { w.certificate(s.ca.root) }) })
		w.node("CA", func() { w.node("System", func() { w.certificate(s.ca.issuer) }) })
		if s.Quirks.SplitStores {
			w.WriteString(`</characteristic><characteristic type="CertificateStore">`)
		}
		w.own(cert)
		if !s.Quirks.NoRenewal {
			w.node("My", func() { w.node("WSTEP", func() { w.node("Renew", func() { w.renewal(base) }) }) })
		}
	})
	w.node("APPLICATION", func() { w.account(base, id) })
	w.node("DMClient", func() {
		w.node("Provider", func() {
			w.node(providerID, func() {
				w.parm("EntDMID", id, "string")
				w.parm("EntDeviceName", name, "string")
			})
		})
	})
	w.WriteString(`</wap-provisioningdoc>`)
	return w.finish()
}

// renewal writes the schedule of renewals.
func (w *writer) renewal(base string) {
	w.parm("ROBOSupport", "true", "boolean")
	w.parm("RenewPeriod", "42", "integer")
	w.parm("RetryInterval", "7", "integer")
	w.parm("ServerURL", base+enrollmentPath, "string")
}

// renewed returns the provisioning document of a renewal, which has the
// certificate and the name of the provider.
func (s *Server) renewed(cert *x509.Certificate) string {
	w := &writer{quirks: s.Quirks}
	w.WriteString(`<wap-provisioningdoc version="1.1">`)
	w.node("CertificateStore", func() { w.own(cert) })
	w.node("APPLICATION", func() { w.parm("PROVIDER-ID", providerID, "") })
	w.WriteString(`</wap-provisioningdoc>`)
	return w.finish()
}

// finish returns the document.
func (w *writer) finish() string {
	if !w.quirks.Indented {
		return w.String()
	}
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + strings.ReplaceAll(w.String(), "><", ">\n    <") + "\n"
}

// account writes the w7 account. Clients insist on the blocks for digests, so
// they have random secrets where the client certificate alone authenticates
// sessions.
func (w *writer) account(base, id string) {
	w.parm("APPID", "w7", "")
	w.parm("PROVIDER-ID", providerID, "")
	w.parm("NAME", "Test management", "")
	address := func() { w.parm("ADDR", base+sessionPath, "") }
	if w.quirks.NestedAddress {
		w.node("APPADDR", address)
	} else {
		address()
	}
	w.parm("ROLE", "4294967295", "")
	w.parm("CONNRETRYFREQ", "3", "")
	w.parm("INITIALBACKOFFTIME", "16000", "")
	w.parm("MAXBACKOFFTIME", "86400000", "")
	w.parm("DEFAULTENCODING", "application/vnd.syncml.dm+xml", "")
	w.parm("SSLCLIENTCERTSEARCHCRITERIA", "Subject=CN%3D"+id+"&Stores=My%5C"+w.store(), "")
	w.node("APPAUTH", func() {
		w.parm("AAUTHLEVEL", "CLIENT", "")
		w.parm("AAUTHTYPE", "DIGEST", "")
		w.parm("AAUTHSECRET", rand.Text(), "")
		w.parm("AAUTHDATA", base64.StdEncoding.EncodeToString([]byte(rand.Text())), "")
	})
	w.node("APPAUTH", func() {
		w.parm("AAUTHLEVEL", "APPSRV", "")
		w.parm("AAUTHTYPE", "DIGEST", "")
		w.parm("AAUTHNAME", id, "")
		w.parm("AAUTHSECRET", cmp.Or(w.secret, rand.Text()), "")
		w.parm("AAUTHDATA", base64.StdEncoding.EncodeToString([]byte(rand.Text())), "")
	})
}
