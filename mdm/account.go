package mdm

import (
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
	"github.com/whiteglove/whiteglove/internal/wire"
)

// An Account is where and how a device is managed: the w7 APPLICATION of a
// provisioning document.
type Account struct {
	ProviderID        string // PROVIDER-ID
	Name              string // for people; may be empty
	Address           string // URL of the management sessions
	Encoding          string // DEFAULTENCODING; "" is "application/vnd.syncml.dm+xml"
	CertificateSearch string // SSLCLIENTCERTSEARCHCRITERIA, as sent; may be empty
	Auth              []Auth // APPAUTH blocks, in order
}

// An Auth is how one side of a management session proves itself to the other.
type Auth struct {
	Level  string // "CLIENT": the server does; "APPSRV": the client does
	Type   string // "DIGEST", "BASIC" or ""
	Name   string
	Secret Token
	Data   string // first nonce, in base64; some servers send anything
}

// Account returns the document's one management account.
func (d *Document) Account() (*Account, error) {
	a, err := d.account()
	if err != nil {
		return nil, fmt.Errorf("mdm: %w", err)
	}
	return a, nil
}

func (d *Document) account() (*Account, error) {
	var found *Characteristic
	for _, app := range d.Find("APPLICATION") {
		if !strings.EqualFold(app.text("APPID"), "w7") {
			continue
		}
		if found != nil {
			return nil, hresult.Errorf(codeProvW7, "the document has more than one w7 application")
		}
		found = app
	}
	if found == nil {
		return nil, hresult.Errorf(codeProvW7, "the document has no w7 application")
	}
	if err := found.sole("APPID", "PROVIDER-ID", "ADDR"); err != nil {
		return nil, hresult.Errorf(codeProvW7, "%w", err)
	}
	a := readAccount(found)
	if a.ProviderID == "" {
		return nil, hresult.Errorf(codeProvW7, "the w7 application has no PROVIDER-ID")
	}
	if err := wire.CheckSecure(a.Address); err != nil {
		return nil, hresult.Errorf(codeProvW7, "the w7 application's address: %w", err)
	}
	return a, nil
}

func readAccount(app *Characteristic) *Account {
	a := &Account{
		ProviderID: app.text("PROVIDER-ID"), Name: app.text("NAME"), Address: app.text("ADDR"),
		Encoding: app.text("DEFAULTENCODING"), CertificateSearch: app.text("SSLCLIENTCERTSEARCHCRITERIA"),
	}
	for _, c := range app.Characteristics {
		switch {
		case strings.EqualFold(c.Type, "APPADDR"):
			a.Address = or(a.Address, c.text("ADDR"))
		case strings.EqualFold(c.Type, "APPAUTH"):
			secret, _ := c.Parm("AAUTHSECRET")
			a.Auth = append(a.Auth, Auth{
				Level: c.text("AAUTHLEVEL"), Type: c.text("AAUTHTYPE"), Name: c.text("AAUTHNAME"),
				Secret: Token(secret), Data: c.text("AAUTHDATA"),
			})
		}
	}
	return a
}

// A Provider is what a provisioning document sets for the client of a
// management provider (DMClient).
type Provider struct {
	ID         string // as PROVIDER-ID of the account
	DeviceID   string // EntDMID: the server's identifier of the device; may be empty
	DeviceName string // EntDeviceName; may be empty
	UPN        string // may be empty
	Node       *Characteristic
}

// Provider returns the settings for the client of the provider with the given
// identifier, or nil if the document has none.
func (d *Document) Provider(id string) *Provider {
	for _, p := range d.Find("DMClient", "Provider", id) {
		return &Provider{ID: p.Type, DeviceID: p.text("EntDMID"), DeviceName: p.text("EntDeviceName"), UPN: p.text("UPN"), Node: p}
	}
	return nil
}
