package graph

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/whiteglove/whiteglove/autopilot"
)

// check notes the serial numbers, and fails the rows that cannot be sent.
func (r *registering) check() {
	for i := range r.results {
		row := &r.results[i].Row
		h, err := r.Client.usable(row)
		if r.serials[i] = serialOf(row, h); err != nil {
			r.fail(i, &Error{Op: opImport, Err: fmt.Errorf("%w: %w", ErrRefused, err)})
		}
	}
}

// submit sends the rows from start to end that can be sent, and finds their records.
func (r *registering) submit(start, end int) {
	b := batch{id: newGUID(), start: start, end: end}
	r.batches = append(r.batches, b)
	w := wait{stage: StageSubmitted}
	for {
		var rows []autopilot.Row
		for i := start; i < end; i++ {
			if r.results[i].Import == nil && r.results[i].Err == nil {
				rows = append(rows, r.results[i].Row)
			}
		}
		if len(rows) == 0 {
			return
		}
		records, err := r.Client.Import(r.ctx, b.id, rows...)
		if err == nil {
			r.adopt(b, records)
			err = &Error{Op: opImport, Err: errors.New("the service's answer does not have the device")}
			r.failBatch(b, err)
			return
		}
		if err = r.again(&w, -1, err); err != nil {
			r.failBatch(b, err)
			return
		}
		// The answer may have been lost, and not the request.
		if records, err = first(r.Client.Imports(r.ctx, b.id), maxRecords, ofBatch(b)); err == nil {
			r.adopt(b, records)
		}
	}
}

// failBatch fails the rows of a batch that have no record.
func (r *registering) failBatch(b batch, err error) {
	for i := b.start; i < b.end; i++ {
		if r.results[i].Import == nil && r.results[i].Err == nil {
			r.fail(i, err)
		}
	}
}

// adopt gives records to the rows that they belong to, by the serial number. A single
// row gets a single record in any case.
func (r *registering) adopt(b batch, records []Imported) {
	for i := b.start; i < b.end; i++ {
		res := &r.results[i]
		if res.Import != nil || res.Err != nil {
			continue
		}
		for j := range records {
			m := &records[j]
			if m.ID != "" && (strings.EqualFold(m.Serial, r.serial(i)) || len(records) == 1 && b.end-b.start == 1) {
				own := *m
				res.Import = &own
				m.ID = "" // taken
				r.reach(i, StageSubmitted, own.State.Status)
				break
			}
		}
	}
}

// awaitImports waits until all imports are done.
func (r *registering) awaitImports() {
	w := wait{stage: StageImporting}
	for _, b := range r.batches {
		for !r.look(&w, b) {
			records, err := r.records(b)
			switch {
			case err == nil:
				r.update(&w, b, records)
				if r.look(&w, b) {
					break
				}
				err = r.pause(&w, -1, nil)
			default:
				err = r.again(&w, -1, err)
			}
			if err != nil {
				r.failImports(b, err)
				break
			}
		}
	}
}

// look settles the imports of a batch that are done, and reports whether all are.
func (r *registering) look(w *wait, b batch) bool {
	all := true
	for i := b.start; i < b.end; i++ {
		res := &r.results[i]
		if res.Err != nil || res.Stage == StageImported {
			continue
		}
		switch s := res.Import.State; {
		case !s.Done():
			r.reach(i, StageImporting, s.Status)
			all = false
		case alreadyHere(s):
			r.adoptExisting(w, i)
		case s.Err() != nil:
			r.fail(i, s.Err())
		case strings.Trim(s.RegistrationID, "0-") == "": // nothing, or the GUID of zeros
			r.fail(i, &Error{Op: opImported, Err: errors.New("the import is complete, and has no registration identifier")})
		default:
			r.reach(i, StageImported, s.Status)
		}
	}
	return all
}

// failImports fails the imports of a batch that are not done.
func (r *registering) failImports(b batch, err error) {
	for i := b.start; i < b.end; i++ {
		if r.results[i].Err == nil && r.results[i].Stage != StageImported {
			r.fail(i, err)
		}
	}
}

// maxRecords is how many records of a batch are read at most. There are more than
// rows if a request was repeated whose answer had been lost.
const maxRecords = 10 * autopilot.MaxRows

// ofBatch returns a function that reports whether a record is one of a batch.
func ofBatch(b batch) func(*Imported) bool {
	return func(m *Imported) bool { return strings.EqualFold(m.ImportID, b.id) }
}

// records asks for the records of a batch that are not done.
func (r *registering) records(b batch) ([]Imported, error) {
	if b.end-b.start > 1 {
		return first(r.Client.Imports(r.ctx, b.id), maxRecords, ofBatch(b))
	}
	m, err := r.Client.Imported(r.ctx, r.results[b.start].Import.ID)
	if errors.Is(err, ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []Imported{*m}, nil
}

// update puts records into the results. A record that is gone for some time, and not
// only late in a list, is that of a device which may be registered.
func (r *registering) update(w *wait, b batch, records []Imported) {
	byID := make(map[string]*Imported, len(records))
	for i := range records {
		byID[records[i].ID] = &records[i]
	}
	for i := b.start; i < b.end; i++ {
		res := &r.results[i]
		if res.Err != nil || res.Import == nil || res.Import.State.Done() {
			continue
		}
		if m := byID[res.Import.ID]; m != nil {
			res.Import = m
			delete(r.missed, i)
			continue
		}
		if r.missed[i]++; r.missed[i] < maxLooks {
			continue
		}
		// A list by the client's import identifier may not have the record for good.
		if m, err := r.Client.Imported(r.ctx, res.Import.ID); err == nil {
			res.Import = m
			delete(r.missed, i)
			continue
		}
		if r.adoptExisting(w, i); res.Err == nil {
			res.Import.State = ImportState{Status: statusComplete, RegistrationID: res.Device.ID}
		}
	}
}

// maxLooks is how often a record or a device is looked for that should be there.
const maxLooks = 5

// adoptExisting finds the registration of a device by its serial number, and
// changes group tag and user to those of the row.
func (r *registering) adoptExisting(w *wait, i int) {
	res := &r.results[i]
	for looks := 0; ; looks++ {
		found, err := r.Client.Find(r.ctx, r.serial(i))
		if err == nil && len(found) == 0 {
			// It may show later, as each new device does.
			if looks < maxLooks {
				if err = r.pause(w, i, nil); err == nil {
					continue
				}
			} else if err = res.Import.State.Err(); err == nil {
				err = &Error{Op: opImported, Err: ErrGone}
			}
			r.fail(i, err)
			return
		}
		if err == nil {
			res.Existing, res.Device = true, &found[0]
			res.Import.State.RegistrationID = found[0].ID
			err = r.adjust(res)
		}
		if err == nil {
			r.reach(i, StageImported, "existing")
			return
		}
		if err = r.again(w, i, err); err != nil {
			r.fail(i, err)
			return
		}
	}
}

// adjust changes group tag and user of a device to those of its row.
func (r *registering) adjust(res *Result) error {
	var p Properties
	if tag := res.Row.GroupTag; tag != "" && tag != res.Device.GroupTag {
		p.GroupTag = tag
	}
	if user := res.Row.User; user != "" && !strings.EqualFold(user, res.Device.User) {
		p.User = user
	}
	if p == (Properties{}) {
		return nil
	}
	return r.Client.Update(r.ctx, res.Device.ID, p)
}

// awaitDevices waits until management shows the devices.
func (r *registering) awaitDevices() {
	r.await(StageImported, StageRegistered, func(i int) error {
		res := &r.results[i]
		d, err := r.Client.Device(r.ctx, res.Import.State.RegistrationID)
		switch {
		case errors.Is(err, ErrGone):
			r.reach(i, StageImported, "not found")
			return nil
		case err != nil:
			return err
		}
		res.Device = d
		r.reach(i, StageRegistered, d.EnrollmentState)
		return nil
	})
}

// await looks at each device in turn until all have failed or are in the stage
// until. The function looks at one; it returns nil if the device is in the stage or
// has to be looked at again.
func (r *registering) await(during, until Stage, look func(i int) error) {
	w := wait{stage: during}
	for {
		var open []int
		for _, i := range r.pending() {
			res := &r.results[i]
			for res.Err == nil && res.Stage != until {
				err := look(i)
				if err == nil {
					break
				}
				if err = r.again(&w, i, err); err != nil {
					r.fail(i, err)
				}
			}
			if res.Err == nil && res.Stage != until {
				open = append(open, i)
			}
		}
		if len(open) == 0 {
			return
		}
		if err := r.pause(&w, -1, nil); err != nil {
			for _, i := range open {
				r.fail(i, err)
			}
			return
		}
	}
}

// awaitProfiles has management synchronize, and waits until the devices have their
// profiles.
func (r *registering) awaitProfiles() {
	if len(r.pending()) == 0 {
		return
	}
	if r.assigned() {
		return
	}
	if err := r.sync(); err != nil {
		for _, i := range r.pending() {
			if r.results[i].Stage != StageReady {
				r.fail(i, err)
			}
		}
		return
	}
	r.await(StageAssigning, StageReady, r.assignment)
}

// assigned reports whether all devices have their profiles already, as in a run
// that is repeated. It spares the synchronization.
func (r *registering) assigned() bool {
	all := true
	for _, i := range r.pending() {
		if !r.results[i].Existing {
			return false
		}
		if err := r.assignment(i); err != nil || r.results[i].Stage != StageReady {
			all = false
		}
	}
	return all
}

// assignment looks at the assignment of a device.
func (r *registering) assignment(i int) error {
	res := &r.results[i]
	a, err := r.Client.AssignmentBeta(r.ctx, res.Device.ID)
	if err != nil {
		return err
	}
	res.Assignment = a
	switch {
	case a.Ready():
		r.reach(i, StageReady, a.Status)
	case strings.EqualFold(a.Status, "failed"):
		return &Error{Op: opAssignment, Err: errors.New("the assignment failed: " + a.Detail)}
	default:
		r.reach(i, StageAssigning, a.Status)
	}
	return nil
}

// sync has management synchronize, and waits for it.
func (r *registering) sync() error {
	w := wait{stage: StageSyncing}
	for {
		err := r.Client.SyncBeta(r.ctx)
		if err == nil || errors.Is(err, ErrBusy) {
			break
		}
		if err = r.again(&w, -1, err); err != nil {
			return err
		}
	}
	w = wait{stage: StageSyncing}
	for {
		s, err := r.Client.SyncStatusBeta(r.ctx)
		if err == nil {
			for _, i := range r.pending() {
				if r.results[i].Stage != StageReady {
					r.reach(i, StageSyncing, s.Status)
				}
			}
			if !strings.EqualFold(s.Status, "inProgress") {
				return nil
			}
			err = r.pause(&w, -1, nil)
		} else {
			err = r.again(&w, -1, err)
		}
		if err != nil {
			return err
		}
	}
}

// forget deletes the records of imports that are done, if that is asked for. A
// failure is not one of the registration.
func (r *registering) forget() {
	if !r.Forget {
		return
	}
	for i := range r.results {
		res := &r.results[i]
		if res.Import == nil || !res.Import.State.Done() || res.Err != nil {
			continue
		}
		err := r.Client.Forget(r.ctx, res.Import.ID)
		var e *Error
		if err != nil && !(errors.As(err, &e) && e.HTTPStatus == http.StatusNotFound) {
			r.observe(Event{Row: i, Serial: r.serial(i), Stage: res.Stage, Err: err})
		}
	}
}
