// Package drs is a client of the device registration service of Microsoft
// Entra ID, for a device's life in a directory: it finds a tenant's services,
// proves the device's TPM, joins the device, takes it out again, joins it for
// its user, and signs the user in.
//
// A device without a user joins in three calls, and leaves in one:
//
//	d, err := c.Discover(ctx, "contoso.com")            // the tenant's services
//	t, err := c.Authenticate(ctx, d, &drs.Proof{…})     // a device token, for the EK
//	dev, err := c.Join(ctx, d, &drs.Request{Ticket: t.Token, …})
//	err = c.Leave(ctx, d, dev, deviceKey)
//
// with [Client.Nonce] before the join if the certificate request is to carry a
// nonce. Its user has the same object in the directory, with new keys:
//
//	dev, err := c.Rejoin(ctx, d, dev.ID, &drs.Request{Token: user, …})
//	s, err := c.SignIn(ctx, d, &drs.SignIn{…})          // a primary refresh token
//	t, err := c.AccessToken(ctx, d, s, resource)
//
// Other joins are those of a computer of Active Directory ([Client.JoinHybrid])
// and of a device that the tenant authorized beforehand
// ([Request.PreAuthorized]).
//
// Keys are a [crypto.Signer] and a [crypto.Decrypter], and what else a TPM has
// to do is asked for by callbacks with plain bytes: the package knows no TPM.
//
// # What is known, and what is not
//
// Discovery, join, leave and sign-in are those of [MS-DVRD], [MS-DVRJ] and
// [MS-OAPXBC] and of what is known of Entra's service. How that service has a
// device prove its TPM before it joined is not public. [Client.Authenticate]
// speaks a profile of this module with services that offer it:
// TPM2_MakeCredential and TPM2_ActivateCredential, then an assertion (RFC 7523)
// with a MAC by the activated secret. It has three variants: ek-jwt-v1 proves
// an attestation key beside the endorsement key, dk-activate the device key
// itself, and challenge-401 does either in the course of the join
// ([Request.Proof]). A [DeviceToken] that was had elsewhere is a [TokenSource],
// too: a device ticket, or the token of a bulk enrollment or of a managed
// identity. Nothing here talks to the Microsoft account service that issues
// real tickets. Which form of [Attestation] Entra takes is not public either.
//
// The members of a join that no specification has (PreAuthorizedJoinChallenge,
// DeviceKeys and ServerAdJoinData) follow what open clients send. Device keys
// are RSA always: those on P-256, as macOS has them, are not spoken.
//
// How a device tells the directory of a new owner after a rejoin is not public
// (logs name such a call, but not its form). The owner follows from the user's
// token here.
//
// # Secrets
//
// A [Token] does not print, and cannot be stored. A [Session] holds the session
// key only as the directory encrypted it to the transport key; each use has the
// transport key open it and erases it. [Session.Seal] gives what may be stored.
//
// Every endpoint is https. The one exception is for tests: a loopback host
// that Client.BaseURL names with http may name itself as an endpoint. A
// redirect to another host is refused, and so is any host that [Client.Trust]
// does not trust.
//
// [MS-DVRD]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrd/
// [MS-DVRJ]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrj/
// [MS-OAPXBC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-oapxbc/
package drs
