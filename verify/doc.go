// Package verify is the relying party's side of TPM attestation: it checks what a
// device sends to prove which TPM it has, which keys are in it and what the machine
// has started.
//
//	device                                verifier
//	  Hello: EK certificate, EK, AIK  →   Challenge checks them
//	                                  ←   Challenge: a secret for this TPM
//	  Answer: the secret              →   Accept: a Device
//	                                  ←   Request: nonce, bank, PCRs
//	  Evidence: quote, log, keys      →   Check: a Result
//	                                  ←   Verdict
//
// A device that the verifier knows begins with [Again] and gets a Request. Each step
// is one call:
//
//	v := &verify.Verifier{EKs: &ekcert.Client{Roots: makers}, Policy: policy}
//	challenge, err := v.Challenge(ctx, &hello)
//	...
//	device, err := v.Accept(ctx, &answer) // keep it, by device.ID()
//	...
//	request, err := v.Request(ctx, device)
//	...
//	result, err := v.Check(ctx, device, &evidence)
//	...
//	device.Clock = &result.Clock
//
// Each challenge and request is good for one message within its time; a [Store] keeps
// them. The package does no HTTP: examples/verifier and examples/attestor do this over
// HTTPS, and docs/verifier.md describes how to run them.
//
// # What is proven
//
// After Accept, the device has a genuine TPM, namely the one of the certificate, which
// has the attestation key. After Check, that TPM has signed the values of its PCRs for
// this request, the event log explains them as [Boot] says, and the certified keys are
// in that TPM. It is not proven that the TPM is in the machine that sent the message:
// the sender may relay to another machine. To tie the two together, have a key
// certified and use it for the connection (mutual TLS).
//
// What a log says is believed only as far as its digests lead to quoted PCRs and the
// data have these digests. github.com/google/go-attestation parses and replays it.
//
// # JSON
//
// [Encode] and [Decode] write and read each message as one JSON object, of at most 2
// MiB. "v" is 1. Bytes are in base64 (RFC 4648, with padding) and PCR values in
// hexadecimal; banks are "sha1", "sha256", "sha384" and "sha512"; times are
// RFC 3339. Members with "?" may be left out.
//
//	{"v":1, "type":"hello", "ekCertificate":bytes, "issuers"?:[bytes], "ekPublicArea":bytes, "aikCreation":statement}
//	{"v":1, "type":"challenge", "id":text, "blob":bytes, "encryptedSecret":bytes, "expires":time}
//	{"v":1, "type":"answer", "id":text, "secret":bytes}
//	{"v":1, "type":"again", "device":hex}
//	{"v":1, "type":"request", "id":text, "device":hex, "nonce":bytes, "bank":bank, "pcrs":[number], "expires":time}
//	{"v":1, "type":"evidence", "id":text, "device":hex, "quote":quote, "eventLog"?:bytes, "keys"?:[statement]}
//	{"v":1, "type":"verdict", "trusted":bool, "reason"?:text, "retryable"?:bool}
//	statement: {"publicArea":bytes, "attest":bytes, "signature":bytes, "creationData"?:bytes}
//	quote:     {"attest":bytes, "signature":bytes, "bank":bank, "pcrs":{"0":hex, …}}
//
// A [Policy] has the same form, so that it can be kept in a file:
//
//	{"v":1, "type":"policy", "bank"?:bank, "pcrs"?:[number], "golden"?:{"0":[hex], …},
//	 "firmware"?:[{"name":text, "pcrs":{"0":hex, …}}], "explained"?:[number],
//	 "secureBoot"?:bool, "loaders"?:[hex], "sameBoot"?:bool}
//
// Structures of the TPM are in its own encoding, without the size of a TPM2B, as in
// package attest. Another version, an unknown or repeated member, or a part over its
// limit is refused.
package verify
