// Package trace records what a run says to its servers and to its TPM, and writes
// it as Markdown, as an HTTP Archive (HAR 1.2) or as one HTML page with a time
// line.
//
// A [Trace] sees a run at two places only, the HTTP transport and the TPM
// transport:
//
//	var t trace.Trace
//	p.TPM.Transport = t.TPM(p.TPM.Transport)
//	p.HTTPClient = t.HTTP(p.HTTPClient)
//	p.Observe = t.Observe
//	state, err := p.Run(ctx)
//	t.WriteHTML(file)
//
// [Annotate] makes a Trace of a capture of a real device's traffic, so that the two can
// be laid beside each other.
//
// What may be secret is not kept. Of each message a Trace keeps the length and the
// SHA-256. It keeps the text only of a CA's capabilities and of an answer with an
// error status, which is what a server says when it refuses; if the answer repeats
// a token or a password of the request, that is hidden. Of a URL's query it
// keeps only the parameters that name an operation.
//
// This is the only package of the module that uses html/template, which makes
// programs larger. The page is parsed when it is first written.
package trace
