// Package drs is a client of the device registration service of Microsoft Entra ID.
// It covers a device's life in a directory: it finds a tenant's services, proves the
// device's TPM, joins the device, removes it, joins it again for its user, and signs
// the user in.
//
// # The life of a device
//
// A device without a user joins with three calls and leaves with one. The keys and the
// function Activate come from package attest, whose TPM has them; an Identity of package
// prove makes the whole [Proof] and [Attestation]:
//
//	c := &drs.Client{
//		BaseURL:    "https://drs.example",              // empty: the public service
//		HTTPClient: &http.Client{Timeout: time.Minute}, // nil: http.DefaultClient
//		Trust:      func(host string) bool { … },       // nil: every https host
//	}
//	d, err := c.Discover(ctx, "contoso.com")                 // the tenant's services
//	t, err := c.Authenticate(ctx, d, &drs.Proof{             // a device token, by the TPM
//		EK: ek.Public, EKPublicArea: ek.PublicArea,
//		AIKPublicArea: aik.PublicArea(),
//		Activate:      tpm.Activator(ek, aik),               // tpm is an *attest.TPM
//	})
//	dev, err := c.Join(ctx, d, &drs.Request{                 // the device certificate
//		DeviceToken: t, DeviceKey: dk, TransportKey: tk.Public().(*rsa.PublicKey), …
//	})
//	err = c.Leave(ctx, d, dev, dk)
//
// Later its user joins it again. It keeps its object in the directory and has new keys.
// The user then signs in with a primary refresh token (PRT), the long-lived token from
// which a device gets access tokens:
//
//	dev, err := c.Rejoin(ctx, d, dev.ID, &drs.Request{UserToken: userToken, …})
//	s, err := c.SignIn(ctx, d, &drs.SignIn{…})               // the PRT and its session key
//	t, err := c.AccessToken(ctx, d, s, &drs.AccessRequest{Resource: …})
//
// The directory encrypts the session key of a PRT to the transport key. Only the transport
// key, in the TPM, can decrypt it: every method that uses a [Session] has it do so. A
// program stores a session with [Session.Seal] and reads it with [UnsealSession]. The
// examples of this package run without a real TPM or tenant.
//
// If the certificate request is to have a nonce of the service, [Client.Nonce] gets
// one before the join. [Client.JoinHybrid] joins a computer of Active Directory, and
// [Request.PreAuthorized] a device that the tenant authorized beforehand.
// [Client.Realm] says where a user signs in.
//
// # Keys and the TPM
//
// A join needs two keys: the device key, which signs and becomes that of the device
// certificate, and the transport key, to which the directory encrypts session keys.
// Both are RSA keys of 2048 bits, as of Windows. Instead they may be on P-256, as of macOS:
// a device key, and a storage key in the place of the transport key; users then sign in by
// protocol 4 of primary refresh tokens ([SignIn.Protocol]). Keys are used through
// [crypto.Signer], [crypto.Decrypter] and [ecdh.KeyExchanger]; callbacks with plain bytes
// do the rest ([Proof.Activate], [Attestation.Certify]). The package has no TPM commands;
// package attest has them.
//
// # What is documented, and what is not
//
// Discovery, join, leave and sign-in follow [MS-DVRD], [MS-DVRJ] and [MS-OAPXBC], and
// what open clients do with Entra's service.
//
// How a device proves its TPM to Entra before it has joined is not public.
// [Client.Authenticate] implements a profile of this module, for services that offer
// it: a challenge by TPM2_MakeCredential and TPM2_ActivateCredential, then an
// assertion (RFC 7523) with a MAC by the activated secret. There are three variants:
//
//	ek-jwt-v1      proves that an attestation key is in the TPM of the endorsement
//	               key, and returns a token ([Client.Authenticate])
//	dk-activate    proves the same of the device key, for a TPM without an
//	               attestation key
//	challenge-401  proves either during the join ([Request.Proof])
//
// A [DeviceToken] from elsewhere can be used instead: a device ticket of a Microsoft
// account, or the token of a bulk enrollment or a managed identity. This package does
// not talk to the account service that issues such tickets. Which [AttestationForm]
// Entra accepts is not public either.
//
// The members PreAuthorizedJoinChallenge, DeviceKeys and ServerAdJoinData of a join, and
// the protocols 3 and 4 of primary refresh tokens, are not specified; they follow open
// clients. How a device tells the directory its new owner after a rejoin is not
// public: logs name such a call, but not its form. Here the owner follows from the
// user's token.
//
// # Secrets and trust
//
// A [Token] cannot be printed or encoded. A [Session] has the session key only as the
// directory encrypted it to the transport key; each use decrypts it with the transport
// key and erases it afterwards. [Session.Seal] returns a form that may be stored.
//
// Every endpoint must be https, except that of a test server: if Client.BaseURL is http
// with a loopback host, endpoints at the same host and port may be http. Endpoints and
// redirects at hosts that [Client.Trust] does not accept are refused, and so are
// redirects to another host than that of the request. Where two identifiers of tenants are
// known, of the discovery, an endpoint, a token, a device, a session or an answer, they must
// be the same ([ErrTenant]).
//
// # Errors and limits
//
// Methods of [Client] return an [*Error]. A client neither repeats a request nor
// sleeps; [Error.Retryable] and [Error.RetryAfter] say whether and when to try again.
// Unless Client.HTTPClient has a Timeout, a request takes two minutes at most, and after
// 15 seconds the average rate of an answer's body must be 512 bytes a second or more. An
// answer may have up to 256 KiB. Texts of a service that an [*Error], a [Discovery] or a
// [Realm] repeats have up to 2048 bytes; characters that do not print are replaced.
//
// Package drstest has a directory for tests.
//
// [MS-DVRD]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrd/
// [MS-DVRJ]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dvrj/
// [MS-OAPXBC]: https://learn.microsoft.com/openspecs/windows_protocols/ms-oapxbc/
package drs
