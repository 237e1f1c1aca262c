// Package prove lets a TPM prove itself to the services of a device: it makes of a TPM's
// keys and certificates what the requests of packages ekcert, aik, drs and mdm need.
// These packages take plain values and functions, because the keys may be anywhere; for
// keys in a TPM of package attest, an [Identity] fills them in. Package verify is the
// other side.
//
//	ek, cert, err := prove.FindEK(ctx, tpm, makers, "") // makers is an *ekcert.Client
//	...
//	report, err := makers.Verify(ctx, cert, ek.Public)
//	...
//	id := &prove.Identity{TPM: tpm, EK: ek, EKChain: report.Chain, AIK: key}
//	id.AIKChain, err = ca.Enroll(ctx, id.AIKRequest()) // ca is an *aik.Client
//	...
//	token, err := directory.Authenticate(ctx, tenant, id.Proof()) // directory is a *drs.Client
//	...
//	join := &drs.Request{
//		DeviceToken: token, DeviceKey: dk, TransportKey: tk.Public().(*rsa.PublicKey),
//		Attestation: id.JoinAttestation(dk, tk, token.Nonce),
//	}
//
// What an [Identity] returns belongs to the caller, who may change it before it is used,
// such as the form of an attestation. A field that is missing here is missing there, and
// the client that gets the request says so.
package prove
