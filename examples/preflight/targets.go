package main

import (
	"net/url"
	"strings"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/internal/traffic"
)

// A target is an endpoint, and how this run asks it.
type target struct {
	endpoint
	name string
	urls []string // tried in turn, until one proves to be the service
	skip string   // why it is not asked; "" if it is
}

// targets returns the targets for a device. facts is nil if no TPM was checked.
func (o *options) targets(facts *tpmFacts) []target {
	var targets []target
	for _, e := range endpoints {
		if e.url == "" && o.server == "" {
			continue
		}
		t := target{endpoint: e}
		t.proof.denial = strings.ReplaceAll(e.proof.denial, "{tenant}", o.tenant)
		if e.Maker != "" && !facts.lacksCertificate() {
			t.Need = traffic.Minor
		}
		if o.server != "" {
			t.Allow = ""
		}
		t.skip = o.skips(e, facts)
		if t.skip == "" {
			t.urls = o.urls(e, facts)
		}
		t.name = o.name(e, t.urls)
		targets = append(targets, t)
	}
	return targets
}

// result returns an empty result of a target.
func (t *target) result() *result {
	s := t.step()
	return &result{Phase: s.Phase, Name: t.name, Use: t.Use, Step: s.Name, Page: s.Page}
}

// skips returns why an endpoint is not asked, or "" if it is.
func (o *options) skips(e endpoint, facts *tpmFacts) string {
	switch {
	case o.server != "" && e.mock == "":
		return "the mock server has no such service"
	case e.Maker != "" && facts != nil && e.Maker != facts.maker:
		return "this TPM is not made by " + e.Maker
	case !strings.Contains(e.url, authority):
		return ""
	case facts == nil && o.tpm != "":
		return "its host is named after the issuer of the TPM's EK certificate, and there is no TPM to read it from"
	case facts == nil:
		return "its host is named after the issuer of the TPM's EK certificate, so -tpm is needed"
	case len(aik.URLs(facts.vendor, facts.chain)) == 0:
		return "its host is named after the issuer of the TPM's EK certificate, and there is none to read it from"
	}
	return ""
}

// urls returns the URLs at which an endpoint is asked.
func (o *options) urls(e endpoint, facts *tpmFacts) []string {
	at := e.url
	if o.server != "" {
		at = o.server + e.mock
	}
	at = strings.ReplaceAll(at, "{tenant}", url.PathEscape(o.tenant))
	if !strings.Contains(at, authority) {
		return []string{at}
	}
	var urls []string
	for _, u := range aik.URLs(facts.vendor, facts.chain) {
		label, _, _ := strings.Cut(strings.TrimPrefix(u, "https://"), ".")
		urls = append(urls, strings.ReplaceAll(at, authority, label))
	}
	return urls
}

// name returns the name of an endpoint: its host, or where the mock server has
// it. urls are empty if it is not asked.
func (o *options) name(e endpoint, urls []string) string {
	at := e.url
	if len(urls) > 0 {
		at = urls[0]
	}
	u, err := url.Parse(strings.ReplaceAll(at, authority, "*"))
	switch {
	case err != nil:
		return at
	case o.server != "" && len(urls) > 0:
		return u.Host + u.Path
	}
	return u.Hostname()
}
