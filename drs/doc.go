// Package drs is a client of the device registration service of Microsoft
// Entra ID: it finds a tenant's services, proves a device's TPM to the tenant's
// directory and joins the device.
//
// A device without a user joins in four calls:
//
//	d, err := c.Discover(ctx, "contoso.com")            // the tenant's services
//	t, err := c.Authenticate(ctx, d, &drs.Proof{…})     // a device token, for the EK
//	dev, err := c.Join(ctx, d, &drs.Request{Ticket: t.Token, …})
//
// with [Client.Nonce] before the join if the certificate request is to carry a
// nonce. Keys are a [crypto.Signer] and an [*rsa.PublicKey], and what a TPM has
// to do is asked for by callbacks with plain bytes: the package knows no TPM.
//
// Discovery and join are those of [MS-DVRD], [MS-DVRJ] and of what is known of
// Entra's service. How that service has a device prove its TPM before it
// joined is not public. [Client.Authenticate] speaks a profile of this module,
// ek-jwt-v1, with services that offer it: TPM2_MakeCredential and
// TPM2_ActivateCredential, then an assertion (RFC 7523) with a MAC by the
// activated secret. [Request.Ticket] also takes a ticket that was had elsewhere.
// The form of [Request.Attestation] is this module's, too.
//
// Every endpoint is https. The one exception is for tests: a loopback host
// that Client.BaseURL names with http may name itself as an endpoint. A
// redirect to another host is refused.
//
// [MS-DVRD]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrd/
// [MS-DVRJ]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrj/
package drs
