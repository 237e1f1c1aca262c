// Package challenge has the common part of the exchanges of [MS-WCCE] in which a TPM
// must decrypt a challenge before the CA certifies its key: reading the challenge,
// answering it, and keeping the exchange as JSON in between. Packages aik and ekcert
// share it.
//
//	x := &challenge.Exchange{URL: url, CA: ca, CSR: csr}
//	err := x.SignAs(nil, now)
//	reply, err := client.Enroll(ctx, ca, x.Request())
//	err = x.Read(reply)
//	secret := ... // TPM2_ActivateCredential with x.Blob and x.EncryptedSecret
//	reply, err = x.Answer(ctx, client, secret)
//
// [MS-WCCE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-wcce
package challenge
