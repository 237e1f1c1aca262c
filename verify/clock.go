package verify

import (
	"fmt"
	"time"

	"github.com/whiteglove/whiteglove/attest"
)

// A Since is what happened to a device between two quotes, as its TPM counts it.
type Since struct {
	Resets   uint32        // how often the machine was started
	Resumed  bool          // it was started, or resumed after sleep or hibernation
	On       time.Duration // how long the TPM was on
	Firmware bool          // the TPM's firmware was changed
}

// maxClockLoss is how much of its clock a TPM may lose with its power, in
// milliseconds: 2^22, some 70 minutes (TCG Part 1, 36.3).
const maxClockLoss = 1 << 22

// checkClock sets r.Clock, and r.Since if the device's last clock is known.
func (r *Result) checkClock(d *Device, q *attest.Quote) (err error) {
	if r.Clock, err = q.ClockInfo(); err != nil || d.Clock == nil {
		return err
	}
	r.Since, err = since(*d.Clock, r.Clock)
	return err
}

// since compares two times of a TPM in statements of the same key. The counters have
// a secret number added, so that only differences modulo 2^32 count.
func since(last, now attest.ClockInfo) (*Since, error) {
	const backward = 1 << 31
	resets, restarts := now.Resets-last.Resets, now.Restarts-last.Restarts
	lost := uint64(0)
	if now.Clock < last.Clock {
		lost = last.Clock - now.Clock
	}
	switch {
	case resets >= backward:
		return nil, fmt.Errorf("%w: %s fewer than last time", ErrClock, count(-resets, "reset"))
	case resets == 0 && restarts >= backward:
		return nil, fmt.Errorf("%w: %s fewer than last time", ErrClock, count(-restarts, "restart"))
	case lost > 0 && (resets == 0 || now.Safe || lost > maxClockLoss):
		return nil, fmt.Errorf("%w: its clock is %d ms behind that of last time", ErrClock, lost)
	}
	s := &Since{Resets: resets, Resumed: resets != 0 || restarts != 0, Firmware: now.Firmware != last.Firmware}
	if lost == 0 {
		s.On = time.Duration(min(now.Clock-last.Clock, uint64(1<<63-1)/uint64(time.Millisecond))) * time.Millisecond
	}
	return s, nil
}

// count returns a number of things.
func count(n uint32, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
