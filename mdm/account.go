package mdm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// An Account tells where and how a device is managed: it is the w7 APPLICATION
// of a provisioning document ([MS-MDE2] section 2.2.9). Texts except secrets
// are trimmed of white space.
type Account struct {
	// ProviderID names the management provider (PROVIDER-ID). It is the name of
	// the provider's node below ./Device/Vendor/MSFT/DMClient/Provider, too.
	ProviderID string

	// Name is a name for people (NAME). It may be empty.
	Name string

	// Address is the URL of the management sessions (ADDR).
	Address string

	// Encoding is the media type of messages (DEFAULTENCODING). If it is empty,
	// it is "application/vnd.syncml.dm+xml".
	Encoding string

	// CertificateSearch tells how Windows finds the management certificate in
	// its stores (SSLCLIENTCERTSEARCHCRITERIA), as the server sent it. It may
	// be empty.
	CertificateSearch string

	// Auth holds the APPAUTH blocks in the order of the document, one of each
	// level and type.
	Auth []Auth
}

// An Auth tells how one side of a management session proves itself to the
// other: it is an APPAUTH of a management account.
type Auth struct {
	Level  string // AAUTHLEVEL: "CLIENT" if the server proves itself, "APPSRV" if the client does
	Type   string // AAUTHTYPE: "DIGEST", "BASIC" or ""
	Name   string // AAUTHNAME; may be empty
	Secret Token  // AAUTHSECRET
	Data   string // AAUTHDATA: the first nonce in base64; some servers send any text
}

// Account returns the document's management account. It is an error if there is
// none or more than one, if the account contradicts itself because a parameter,
// or the address in ADDR and in an APPADDR, appears twice, if its PROVIDER-ID is
// missing, or if its address is neither https nor http on the loopback interface
// or has a user or a fragment in it. The error is of no exported type. It wraps
// one with a method HRESULT() uint32 that returns 0x8018001F, as Windows shows.
func (d *Document) Account() (*Account, error) {
	a, err := d.account(true)
	if err != nil {
		return nil, fmt.Errorf("mdm: %w", err)
	}
	return a, nil
}

// account returns the account. Its address may be of http only if plain is set.
func (d *Document) account(plain bool) (*Account, error) {
	found, err := d.application(func(id string) bool { return strings.EqualFold(id, "w7") })
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, hresult.Errorf(codeProvW7, "the document has no w7 application")
	}
	a, err := readAccount(found)
	if err != nil {
		return nil, hresult.Errorf(codeProvW7, "%w", err)
	}
	if a.ProviderID == "" {
		return nil, hresult.Errorf(codeProvW7, "the w7 application has no PROVIDER-ID")
	}
	if err := checkService(a.Address, plain); err != nil {
		return nil, hresult.Errorf(codeProvW7, "the w7 application's address: %w", err)
	}
	return a, nil
}

// application returns the one APPLICATION whose APPID is right, or nil.
func (d *Document) application(right func(id string) bool) (*Characteristic, error) {
	var found *Characteristic
	for _, app := range d.Find("APPLICATION") {
		if !right(app.text("APPID")) {
			continue
		}
		if found != nil {
			return nil, hresult.Errorf(codeProvW7, "the document has more than one w7 application")
		}
		found = app
	}
	return found, nil
}

// readAccount reads an APPLICATION that does not contradict itself.
func readAccount(app *Characteristic) (*Account, error) {
	if err := app.sole("APPID", "PROVIDER-ID", "NAME", "ADDR", "DEFAULTENCODING", "SSLCLIENTCERTSEARCHCRITERIA"); err != nil {
		return nil, err
	}
	a := &Account{
		ProviderID: app.text("PROVIDER-ID"), Name: app.text("NAME"), Address: app.text("ADDR"),
		Encoding: app.text("DEFAULTENCODING"), CertificateSearch: app.text("SSLCLIENTCERTSEARCHCRITERIA"),
	}
	for _, c := range app.Characteristics {
		if err := c.sole("ADDR", "AAUTHLEVEL", "AAUTHTYPE", "AAUTHNAME", "AAUTHSECRET", "AAUTHDATA"); err != nil {
			return nil, err
		}
		switch {
		case strings.EqualFold(c.Type, "APPADDR"):
			address := c.text("ADDR")
			if a.Address != "" && address != "" && a.Address != address {
				return nil, errors.New("the w7 application has two addresses")
			}
			a.Address = or(a.Address, address)
		case strings.EqualFold(c.Type, "APPAUTH"):
			secret, _ := c.Parm("AAUTHSECRET")
			if err := a.add(Auth{
				Level: c.text("AAUTHLEVEL"), Type: c.text("AAUTHTYPE"), Name: c.text("AAUTHNAME"),
				Secret: Token(secret), Data: c.text("AAUTHDATA"),
			}); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
}

// add adds an APPAUTH. There may be another of the same level and type only if
// it says the same.
func (a *Account) add(auth Auth) error {
	for _, there := range a.Auth {
		if strings.EqualFold(there.Level, auth.Level) && strings.EqualFold(there.Type, auth.Type) {
			if there != auth {
				return fmt.Errorf("the w7 application has two APPAUTH of level %.40q and type %.40q", auth.Level, auth.Type)
			}
			return nil
		}
	}
	a.Auth = append(a.Auth, auth)
	return nil
}

// A Provider holds what a provisioning document sets for the device's client of
// a management provider (the DMClient configuration service provider). Its
// texts may be empty, except ID.
type Provider struct {
	ID         string          // name of the provider, as in [Account]
	DeviceID   string          // EntDMID: the server's identifier of the device
	DeviceName string          // EntDeviceName: the server's name of the device
	UPN        string          // user principal name of the user who enrolled
	Node       *Characteristic // all that the document sets; it belongs to the document
}

// Provider returns the settings for the client of the provider with the given
// identifier, which is compared in any letter case. It returns nil if the
// document has none.
func (d *Document) Provider(id string) *Provider {
	for _, p := range d.Find("DMClient", "Provider", id) {
		return &Provider{ID: p.Type, DeviceID: p.text("EntDMID"), DeviceName: p.text("EntDeviceName"), UPN: p.text("UPN"), Node: p}
	}
	return nil
}
