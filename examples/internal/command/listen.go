package command

import (
	"errors"
	"fmt"
	"syscall"
)

// What Windows has for EADDRINUSE, EADDRNOTAVAIL and EACCES of a socket.
const (
	wsaAddrInUse    = syscall.Errno(10048)
	wsaAddrNotAvail = syscall.Errno(10049)
	wsaAccess       = syscall.Errno(10013)
)

// NotListening returns the error of a server that cannot listen at the address that a flag
// names, with what to do about it. It returns err, with the flag, if it has another cause.
func NotListening(flag, address string, err error) error {
	is := func(codes ...syscall.Errno) bool {
		for _, code := range codes {
			if errors.Is(err, code) {
				return true
			}
		}
		return false
	}
	switch {
	case is(syscall.EADDRINUSE, wsaAddrInUse):
		return fmt.Errorf("%s: another program listens at %s: end it, or choose another port (0 takes a free one)", flag, address)
	case is(syscall.EADDRNOTAVAIL, wsaAddrNotAvail):
		return fmt.Errorf("%s: the host of %s is no address of this machine: choose one that is, or leave out the host for all of them", flag, address)
	case is(syscall.EACCES, wsaAccess):
		return fmt.Errorf("%s: this user may not listen at %s: choose a port over 1023, or run as administrator", flag, address)
	}
	return At(flag, err)
}
