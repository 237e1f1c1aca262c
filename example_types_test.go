package whiteglove_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/whiteglove/whiteglove"
	"github.com/whiteglove/whiteglove/drs"
)

// A Provisioner for each phase of a device's life: the technician's, after
// which the device is switched off and handed over, and the user's.
func ExampleProvisioner() {
	technician := &whiteglove.Provisioner{
		Tenant:     "contoso.test",
		Management: "https://mdm.contoso.test/EnrollmentServer/Discovery.svc",
		Steps:      whiteglove.Technician(),
		Store:      whiteglove.FileStore("state.json"),
	}
	user := *technician
	user.Steps = whiteglove.UserPhase()
	user.User = &whiteglove.User{Name: "ada@contoso.test"}
	fmt.Println(technician.Steps)
	fmt.Println(user.Steps)
	_, err := technician.Run(context.Background()) // the TPM is missing
	fmt.Println(err)
	// Output:
	// [ek aik discover token keys join enroll session seal]
	// [rejoin signin]
	// whiteglove: a Provisioner needs a TPM, a Tenant and a Management URL
}

// A StepFunc does a step in another way: here a depot has a service of its own
// that hands out tokens for the devices on its list.
func ExampleStepFunc() {
	var depot interface {
		Ticket(ctx context.Context, ek crypto.PublicKey) (drs.Token, error)
	}
	token := func(ctx context.Context, r *whiteglove.Run) (resumed bool, err error) {
		if r.State.DeviceID != "" {
			return true, nil // the device has joined
		}
		ticket, err := depot.Ticket(ctx, r.EK.Public)
		if err != nil {
			return false, err
		}
		r.Token = &drs.DeviceToken{Token: ticket}
		return false, nil
	}
	p := &whiteglove.Provisioner{Do: map[whiteglove.Step]whiteglove.StepFunc{whiteglove.StepToken: token}}
	fmt.Println(len(p.Do))
	// Output:
	// 1
}

// An Event tells of each change of a step.
func ExampleEvent() {
	show := func(ev whiteglove.Event) {
		switch ev.Status {
		case whiteglove.Retrying:
			fmt.Printf("%s: %v; again in %v\n", ev.Step, ev.Err, ev.Wait)
		case whiteglove.Done:
			fmt.Printf("%s: %v\n", ev.Step, ev.Elapsed)
		}
	}
	show(whiteglove.Event{Step: whiteglove.StepAIK, Status: whiteglove.Retrying, Err: io.ErrUnexpectedEOF, Wait: time.Second})
	show(whiteglove.Event{Step: whiteglove.StepAIK, Status: whiteglove.Done, Attempt: 2, Elapsed: 700 * time.Millisecond})
	// Output:
	// aik: unexpected EOF; again in 1s
	// aik: 700ms
}

// A Step is known to whoever sees a run's requests.
func ExampleStepOf() {
	client := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		fmt.Printf("%q asks %s\n", whiteglove.StepOf(req.Context()), req.URL.Host)
		return nil, io.ErrUnexpectedEOF
	})}
	_, err := client.Get("https://contoso.test")
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF))
	// Output:
	// "" asks contoso.test
	// true
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A sealed State says when the device should be handed to its user.
func ExampleState() {
	state := &whiteglove.State{Sealed: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	from, until := state.Window()
	fmt.Println(from.Format(time.DateTime))
	fmt.Println(until.Format(time.DateTime))
	// Output:
	// 2026-03-01 13:30:00
	// 2026-09-01 12:00:00
}

// A Store of one's own: here one in memory, which is gone with the process.
func ExampleStore() {
	var store whiteglove.Store = new(memory)
	ctx := context.Background()
	_, err := store.Load(ctx)
	fmt.Println(err)
	if err := store.Save(ctx, &whiteglove.State{Tenant: "contoso.test"}); err != nil {
		fmt.Println(err)
	}
	state, err := store.Load(ctx)
	fmt.Println(state.Tenant, err)
	// Output:
	// no stored state
	// contoso.test <nil>
}

type memory struct{ text []byte }

func (m *memory) Load(context.Context) (*whiteglove.State, error) {
	if m.text == nil {
		return nil, whiteglove.ErrNoState
	}
	s := new(whiteglove.State)
	return s, json.Unmarshal(m.text, s)
}

func (m *memory) Save(_ context.Context, s *whiteglove.State) (err error) {
	m.text, err = json.Marshal(s)
	return err
}

// A Locker refuses a second run.
func ExampleLocker() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var store whiteglove.Locker = whiteglove.FileStore(filepath.Join(dir, "state.json"))
	unlock, err := store.Lock(context.Background())
	fmt.Println(err)
	_, err = store.Lock(context.Background())
	fmt.Println(err)
	fmt.Println(unlock())
	// Output:
	// <nil>
	// another run is using the stored state
	// <nil>
}

// A state is kept in a file that is never half-written.
func ExampleFileStore() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store := whiteglove.FileStore(filepath.Join(dir, "state.json"))
	_, err = store.Load(ctx)
	fmt.Println(errors.Is(err, whiteglove.ErrNoState))

	unlock, err := store.Lock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unlock()
	if err := store.Save(ctx, &whiteglove.State{Version: 2, Tenant: "contoso.test"}); err != nil {
		fmt.Println(err)
		return
	}
	state, err := store.Load(ctx)
	fmt.Println(state.Tenant, err)
	// Output:
	// true
	// contoso.test <nil>
}

// A Backoff of one's own gives up after three tries, a second apart.
func ExampleBackoff() {
	var backoff whiteglove.Backoff = func(_ whiteglove.Step, n int, _ error) time.Duration {
		if n >= 3 {
			return 0
		}
		return time.Second
	}
	for n := 1; n <= 3; n++ {
		fmt.Println(n, backoff(whiteglove.StepJoin, n, io.EOF))
	}
	// Output:
	// 1 1s
	// 2 1s
	// 3 0s
}

// A Trace writes down what crosses its two seams.
func ExampleTrace() {
	var trace whiteglove.Trace
	client := trace.HTTP(&http.Client{Transport: http.NewFileTransport(http.Dir("."))})
	res, err := client.Get("https://localhost/nothing")
	if err != nil {
		fmt.Println(err)
		return
	}
	res.Body.Close()
	if err := trace.WriteHAR(io.Discard); err != nil {
		fmt.Println(err)
	}
	fmt.Println(res.Status)
	// Output:
	// 404 Not Found
}

// An Error says at which step a run failed, and what to do.
func ExampleError() {
	var err error = &whiteglove.Error{Step: whiteglove.StepEK, Err: fmt.Errorf("%w: it is of another TPM", whiteglove.ErrState)}
	var e *whiteglove.Error
	if errors.As(err, &e) {
		fmt.Println(e)
		fmt.Println(e.Remedy())
	}
	// Output:
	// whiteglove: ek: stored state cannot be continued: it is of another TPM
	// Remove the stored state to provision this device anew.
}
