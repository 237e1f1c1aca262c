package mdm

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// checkService returns an error unless a server's answer may name raw as the URL
// of a service, which is then sent secrets: it is one of https without a user
// and a fragment. If plain is set, http on the loopback interface will do. The
// error wraps [wire.ErrInsecure] if the scheme or the host is wrong.
func checkService(raw string, plain bool) error {
	if err := wire.CheckSecure(raw); err != nil {
		return err
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("an address is not a URL")
	case u.User != nil:
		return fmt.Errorf("%s has a user name in it", wire.Redact(raw))
	case u.Fragment != "":
		return fmt.Errorf("%s has a fragment", wire.Redact(raw))
	case u.Scheme != "https" && !plain:
		return wire.Insecure(raw)
	}
	return nil
}

// isPlain reports whether raw is a URL of http. A server of the caller's own
// that is reached by http, which [wire.CheckSecure] allows on the loopback
// interface alone, may name others of that kind.
func isPlain(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "http"
}
