package scep

import "time"

// An Opener opens replies to one message.
type Opener struct{ o opening }

// NewOpener returns an Opener for replies to a message of req with nonce.
func NewOpener(c *Client, ca *CA, req *Request, nonce []byte) (*Opener, error) {
	t, err := req.transaction(nil, true, time.Now())
	if err != nil {
		return nil, err
	}
	return &Opener{opening{client: c, ca: ca, transaction: t, nonce: nonce}}, nil
}

// Open checks a reply.
func (o *Opener) Open(body []byte) (*Reply, error) { return o.o.open(body) }

// Failure returns the reason and the text of a refusal that Open returned.
func Failure(err error) (FailInfo, string) {
	if r, ok := err.(*refusal); ok { //nolint:errorlint // it is not wrapped
		return r.info, r.text
	}
	return NoFailInfo, ""
}
