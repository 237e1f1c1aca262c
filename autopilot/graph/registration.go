package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/whiteglove/whiteglove/autopilot"
	"github.com/whiteglove/whiteglove/internal/misuse"
	"github.com/whiteglove/whiteglove/internal/ztd"
)

// A Stage is how far the registration of a device is.
type Stage string

// The stages, in order. Any of them may be followed by StageFailed.
const (
	StageSubmitted  Stage = "submitted"  // the service took the request
	StageImporting  Stage = "importing"  // it works on the import
	StageImported   Stage = "imported"   // it registered the device, or knew it already
	StageRegistered Stage = "registered" // management shows the device
	StageSyncing    Stage = "syncing"    // management synchronizes its devices (beta)
	StageAssigning  Stage = "assigning"  // the device has no profile yet (beta)
	StageReady      Stage = "ready"      // the device will get its profile (beta)
	StageFailed     Stage = "failed"     // the service refused the device, or took too long
)

// stages are the stages in order.
var stages = []Stage{StageSubmitted, StageImporting, StageImported, StageRegistered, StageSyncing, StageAssigning, StageReady}

// A Registration registers devices and waits until they can be set up. Client is
// required. It is the only part of this package that waits and tries again.
//
// Its stages are those that the service goes through (the names of statuses are
// documented, their order and how long they take observed):
//
//	submitted
//	importing    the import has the status "unknown", "pending" or "partial"; 95 s are
//	             typical, 15 min not rare
//	imported     it is "complete"; or it failed since the device is in this tenant already
//	registered   the device is found by its ZTDID, after some "not found"
//	syncing      a synchronization was asked for and is in progress; one is allowed in
//	             ten minutes
//	assigning    the status of the assignment is "notAssigned", "pending" or
//	             "assignedOutOfSync"; dynamic groups take minutes to hours
//	ready
//
// The last three need the beta version of Graph.
type Registration struct {
	// Client asks the service.
	Client *Client

	// Until is the stage to wait for: StageSubmitted, StageImported,
	// StageRegistered or StageReady. If empty, it is StageReady. Only StageReady
	// uses the beta version of Graph.
	Until Stage

	// Limit is how long to wait in one stage, for the service's work and for
	// failures that may pass: for all devices together, which are looked at in
	// turn. If 0, it is two hours.
	Limit time.Duration

	// Pause returns how long to wait before the service is asked again; attempt
	// counts from 1 in each stage. If nil, it is 15 s while importing, 20 s until
	// the device shows, 30 s while syncing, a minute while assigning. What the
	// service asks for in Retry-After is kept to if it is longer.
	Pause func(stage Stage, attempt int) time.Duration

	// Observe, if set, is called at each change of a device's stage or status, and
	// before a pause after a failure. Run waits for it.
	Observe func(Event)

	// Forget has the records of imports deleted once the devices are registered.
	// If false, the service deletes them after some time (observed). Nothing else
	// is ever deleted.
	Forget bool
}

// An Event is a change in the registration of a device.
type Event struct {
	Time   time.Time
	Row    int    // index of the device in the rows that Run was given; -1 if the event is about all of them
	Serial string // empty if Row is -1
	Stage  Stage

	// Status is the service's own word, such as "unknown" or "notAssigned"; empty
	// if it has none in this stage.
	Status string

	// Wait is the pause before the service is asked again; 0 if the stage goes on.
	Wait time.Duration

	// Err is the failure; nil unless Stage is StageFailed or a request is tried
	// again.
	Err error
}

// A Result is what became of a device.
type Result struct {
	Row        autopilot.Row
	Stage      Stage       // the last one that was reached, or StageFailed
	Import     *Imported   // nil if the service never took the request
	Device     *Device     // nil before StageRegistered
	Assignment *Assignment // nil before StageAssigning

	// Existing is true if the device was in this tenant already. Its group tag and
	// user were changed to those of the row, if the row has any and others.
	Existing bool

	// Err is why the device did not reach the stage to wait for; nil if it did. It
	// is an [*Error], or the error of the context.
	Err error
}

// defaultLimit is Limit if that is 0.
const defaultLimit = 2 * time.Hour

// syncPause is the pause after a synchronization was refused for coming too soon,
// if the service does not say: a little more than ten minutes.
const syncPause = 12*time.Minute + 30*time.Second

// Run registers the devices of rows, in batches of [autopilot.MaxRows], and waits
// until each has reached the stage Until or failed. There is a result for each
// row, also with an error.
//
// To run again with the same rows is harmless: a device that is in this tenant
// already counts as imported, and requests whose answer was lost are looked for
// before they are repeated.
//
// The error is an [*Error]. It wraps that of the first device that failed, and the
// error of ctx if that ended first. What a device failed by is in its result, such
// as the Code 808 for a device of another tenant, or [ErrRefused] for a row that
// cannot be sent; the other rows are sent all the same.
func (r *Registration) Run(ctx context.Context, rows []autopilot.Row) ([]Result, error) {
	run := &registering{Registration: r, ctx: ctx, until: r.Until, missed: map[int]int{}}
	if run.until == "" {
		run.until = StageReady
	}
	if r.Client == nil {
		return nil, &Error{Op: opRegister, Err: misuse.Errorf("a Registration needs a Client")}
	}
	if !slices.Contains([]Stage{StageSubmitted, StageImported, StageRegistered, StageReady}, run.until) {
		return nil, &Error{Op: opRegister, Err: misuse.Errorf("a Registration cannot wait for the stage %q", r.Until)}
	}
	run.results, run.serials = make([]Result, len(rows)), make([]string, len(rows))
	for i, row := range rows {
		run.results[i].Row = row
	}
	run.check()
	for start := 0; start < len(rows); start += autopilot.MaxRows {
		run.submit(start, min(start+autopilot.MaxRows, len(rows)))
	}
	for _, step := range []struct {
		stage Stage
		do    func()
	}{
		{StageImported, run.awaitImports}, {StageRegistered, run.awaitDevices}, {StageReady, run.awaitProfiles},
	} {
		if slices.Index(stages, run.until) >= slices.Index(stages, step.stage) {
			step.do()
		}
	}
	run.forget()
	return run.results, run.err()
}

// A registering is a Registration under way.
type registering struct {
	*Registration
	ctx     context.Context
	until   Stage
	results []Result
	serials []string // of the devices
	batches []batch
	said    map[int]string // the last event of each row
	missed  map[int]int    // how often the record of a row was not in the list
}

// A batch is rows with one import identifier.
type batch struct {
	id         string
	start, end int
}

// err returns the error of Run.
func (r *registering) err() error {
	failed, first := 0, error(nil)
	for _, res := range r.results {
		if res.Err != nil {
			failed++
			if first == nil {
				first = res.Err
			}
		}
	}
	if failed == 0 {
		return nil
	}
	return &Error{Op: opRegister, Err: fmt.Errorf("%d of %d devices: %w", failed, len(r.results), first)}
}

// reach notes that a device is in a stage, with a status of the service.
func (r *registering) reach(i int, stage Stage, status string) {
	res := &r.results[i]
	res.Stage = stage
	key := string(stage) + " " + status
	if r.said == nil {
		r.said = map[int]string{}
	}
	if r.said[i] != key {
		r.said[i] = key
		r.observe(Event{Row: i, Serial: r.serial(i), Stage: stage, Status: status})
	}
}

// fail notes that a device failed.
func (r *registering) fail(i int, err error) {
	r.results[i].Stage, r.results[i].Err = StageFailed, err
	r.observe(Event{Row: i, Serial: r.serial(i), Stage: StageFailed, Err: err})
}

func (r *registering) observe(e Event) {
	if r.Observe != nil {
		e.Time = r.Client.now()
		r.Observe(e)
	}
}

// serial returns the serial number of a device, of the row or of the hash.
func (r *registering) serial(i int) string { return r.serials[i] }

// pending returns the devices that have not failed.
func (r *registering) pending() []int {
	var list []int
	for i := range r.results {
		if r.results[i].Err == nil {
			list = append(list, i)
		}
	}
	return list
}

// A wait is the waiting in one stage.
type wait struct {
	stage   Stage
	attempt int
	since   time.Time
}

// pause waits before the service is asked again. err, if not nil, is why. It
// returns the error that ends the waiting, or nil.
func (r *registering) pause(w *wait, row int, err error) error {
	if w.since.IsZero() {
		w.since = time.Now()
	}
	w.attempt++
	d := r.pauseTime(w)
	var e *Error
	if errors.As(err, &e) {
		if e.Op == opSync && e.HTTPStatus == http.StatusTooManyRequests && e.RetryAfter == 0 && r.Pause == nil {
			d = syncPause
		}
		d = max(d, e.RetryAfter)
	}
	limit := r.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	if d > limit-time.Since(w.since) { // d may be centuries
		if err == nil {
			err = fmt.Errorf("stage %q took over %v", w.stage, limit)
		}
		return &Error{Op: opRegister, Err: err}
	}
	if err != nil {
		event := Event{Row: row, Stage: w.stage, Wait: d, Err: err}
		if row >= 0 {
			event.Serial = r.serial(row)
		}
		r.observe(event)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.ctx.Done():
		if err != nil {
			return &Error{Op: opRegister, Err: fmt.Errorf("%w; before that: %w", r.ctx.Err(), err)}
		}
		return r.ctx.Err()
	}
}

// pauses are Pause if that is nil.
var pauses = map[Stage]time.Duration{
	StageImporting: 15 * time.Second, StageImported: 20 * time.Second, StageSyncing: 30 * time.Second, StageAssigning: time.Minute,
}

func (r *registering) pauseTime(w *wait) time.Duration {
	if r.Pause != nil {
		return r.Pause(w.stage, w.attempt)
	}
	if d := pauses[w.stage]; d != 0 {
		return d
	}
	return min(time.Second<<min(w.attempt, 10), time.Minute)
}

// again reports whether a failed request can be repeated, after a pause. If not, it
// returns the error that ends the waiting.
func (r *registering) again(w *wait, row int, err error) error {
	var e *Error
	if !errors.As(err, &e) || !e.Retryable() || r.ctx.Err() != nil {
		return err
	}
	return r.pause(w, row, err)
}

// alreadyHere reports whether an import failed because the device is in this
// tenant. Code 806 has been seen with the name for another tenant, too.
func alreadyHere(s ImportState) bool {
	return s.Name == ztd.Name(ztd.AlreadyAssigned) || s.Name == "" && s.Code == ztd.AlreadyAssigned
}
