package drs

// BrokerClient is the OAuth client identifier of the token broker with which Windows
// registers devices.
const BrokerClient = "29d9ed98-a469-4536-ade2-f981bc1d605e"

// The redirect URIs that are registered for [BrokerClient] and that Windows uses. The token
// service refuses a redirect URI that is not registered for the client (AADSTS50011).
const (
	RedirectBroker    = "ms-appx-web://Microsoft.AAD.BrokerPlugin"
	RedirectBrokerDRS = RedirectBroker + "/DRS" // for a token for the join
	RedirectBrokerMDM = RedirectBroker + "/MDM" // for a token for the enrollment
	RedirectDRS       = "ms-aadj-redir://auth/drs"
	RedirectMDM       = "ms-aadj-redir://auth/mdm"
)

// signInClient is the OAuth client identifier with which Windows signs users in.
const signInClient = "38aa3b87-a06d-4817-b275-7a316988d93b"

// redirectFor returns a redirect URI that is registered for a client of the token broker:
// for BrokerClient itself that of the broker, and for another one with its identifier, as
// for many of Microsoft's programs.
func redirectFor(client string) string {
	if client == BrokerClient {
		return RedirectBroker
	}
	return RedirectBroker + "/" + client
}

// client returns the OAuth client identifier of a sign-in.
func (r *SignIn) client() string {
	switch {
	case r.ClientID != "":
		return r.ClientID
	case r.UserKey == nil && r.RefreshToken != "":
		return BrokerClient
	}
	return signInClient
}
