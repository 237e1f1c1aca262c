package omadm

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/mdm"
)

// unmanagedWords are words by which servers say that they do not manage a device any more.
var unmanagedWords = []string{"ended its management", "no longer managed", "not managed", "unenrolled", "not enrolled", "no longer enrolled"}

// An unmanaged is an answer by which a server says that it does not manage the device any
// more.
type unmanaged struct {
	status int
	ending bool // the device asked for the end of its management
}

// checkUnmanaged returns an unmanaged if an HTTP status and a server's words say that.
func checkUnmanaged(status int, said string) error {
	said = strings.ToLower(said)
	told := slices.ContainsFunc(unmanagedWords, func(w string) bool { return strings.Contains(said, w) })
	if status == http.StatusGone || told && status >= 400 && status < 500 {
		return &unmanaged{status: status}
	}
	return nil
}

// Error returns the status, as the server's words tell the rest.
func (u *unmanaged) Error() string { return fmt.Sprintf("HTTP status %d", u.status) }

// Remedy tells what a technician can do.
func (u *unmanaged) Remedy() string {
	if u.ending {
		return "The server no longer manages this device, so there is nothing to end. To manage it again, enroll it again."
	}
	return "The server no longer manages this device. To manage it again, enroll it again."
}

// whileEnding notes in an error of a session that the session was to end the device's
// management.
func whileEnding(err error) {
	var failed *mdm.Error
	if u := (*unmanaged)(nil); errors.As(err, &failed) && errors.As(failed.Err, &u) {
		u.ending = true
	}
}
