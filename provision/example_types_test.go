package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
	"github.com/whiteglove/whiteglove/trace"
)

// A Provisioner for each phase of a device's life: the technician's, after
// which the device is switched off and handed over, and the user's.
func ExampleProvisioner() {
	technician := &provision.Provisioner{
		Tenant:     "contoso.test",
		Management: "https://mdm.contoso.test/EnrollmentServer/Discovery.svc",
		Steps:      provision.Technician(),
		Store:      provision.FileStore("state.json"),
	}
	user := *technician
	user.Steps = provision.UserPhase()
	user.User = &provision.User{Name: "ada@contoso.test"}
	fmt.Println(technician.Steps)
	fmt.Println(user.Steps)
	_, err := technician.Run(context.Background()) // the TPM is missing
	fmt.Println(err)
	// Output:
	// [ek aik discover token keys join enroll session seal]
	// [rejoin signin]
	// provision: Provisioner.TPM is not set
}

// A function does a step in another way: here an account of the depot authorizes
// the join, instead of the device's endorsement key.
func ExampleProvisioner_do() {
	ctx := context.Background()
	server := provisiontest.NewServer()
	defer server.Close()
	server.AddUser("depot@contoso.test", "correct horse")
	device, err := provisiontest.NewDevice(attesttest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer device.Close()

	p := server.Provisioner(device)
	p.Steps = []provision.Step{provision.StepEK, provision.StepAIK, provision.StepDiscover, provision.StepToken, provision.StepKeys, provision.StepJoin}
	p.Do = map[provision.Step]func(context.Context, *provision.Run) (bool, error){
		provision.StepToken: func(ctx context.Context, r *provision.Run) (resumed bool, err error) {
			if r.State.DeviceID != "" {
				return true, nil // the device joined in an earlier run
			}
			token, err := server.User("depot@contoso.test").JoinToken(ctx, r.Discovery)
			if err != nil {
				return false, err
			}
			r.Token = &drs.DeviceToken{Token: token, Bearer: true}
			return false, nil
		},
	}
	state, err := p.Run(ctx)
	fmt.Println(state.DeviceID != "", err)
	// Output:
	// true <nil>
}

// An Event tells of each change of a step.
func ExampleEvent() {
	show := func(ev provision.Event) {
		switch ev.Status {
		case provision.Retrying:
			fmt.Printf("%s: %v; again in %v\n", ev.Step, ev.Err, ev.Wait)
		case provision.Done:
			fmt.Printf("%s: %v\n", ev.Step, ev.Elapsed)
		}
	}
	show(provision.Event{Step: provision.StepAIK, Status: provision.Retrying, Err: io.ErrUnexpectedEOF, Wait: time.Second})
	show(provision.Event{Step: provision.StepAIK, Status: provision.Done, Attempt: 2, Elapsed: 700 * time.Millisecond})
	// Output:
	// aik: unexpected EOF; again in 1s
	// aik: 700ms
}

// An Event in a log of lines of JSON.
func ExampleEvent_MarshalJSON() {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	line, err := json.Marshal(provision.Event{
		Time: at, Step: provision.StepAIK, Status: provision.Retrying, Attempt: 1, Elapsed: 700 * time.Millisecond, Wait: time.Second, Err: io.ErrUnexpectedEOF,
	})
	fmt.Println(string(line), err)
	// Output:
	// {"time":"2026-03-01T12:00:00Z","step":"aik","status":"retrying","attempt":1,"elapsed":0.7,"wait":1,"error":"unexpected EOF"} <nil>
}

// A Step is known to whoever sees a run's requests.
func ExampleStepOf() {
	client := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		fmt.Printf("%q asks %s\n", provision.StepOf(req.Context()), req.URL.Host)
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
	state := &provision.State{Sealed: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	from, until := state.Window()
	fmt.Println(from.Format(time.DateTime))
	fmt.Println(until.Format(time.DateTime))
	// Output:
	// 2026-03-01 13:30:00
	// 2026-09-01 12:00:00
}

// A Store of one's own: here one in memory, which is gone with the process.
func ExampleStore() {
	var store provision.Store = new(memory)
	ctx := context.Background()
	_, err := store.Load(ctx)
	fmt.Println(err)
	if err := store.Save(ctx, &provision.State{Tenant: "contoso.test"}); err != nil {
		fmt.Println(err)
	}
	state, err := store.Load(ctx)
	fmt.Println(state.Tenant, err)
	// Output:
	// no stored state
	// contoso.test <nil>
}

type memory struct{ text []byte }

func (m *memory) Load(context.Context) (*provision.State, error) {
	if m.text == nil {
		return nil, provision.ErrNoState
	}
	s := new(provision.State)
	return s, json.Unmarshal(m.text, s)
}

func (m *memory) Save(_ context.Context, s *provision.State) (err error) {
	m.text, err = json.Marshal(s)
	return err
}

// The lock of a FileStore keeps a second run out.
func ExampleFileStore_Lock() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store := provision.FileStore(filepath.Join(dir, "state.json"))
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
	store := provision.FileStore(filepath.Join(dir, "state.json"))
	_, err = store.Load(ctx)
	fmt.Println(errors.Is(err, provision.ErrNoState))

	unlock, err := store.Lock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unlock()
	if err := store.Save(ctx, &provision.State{Version: 2, Tenant: "contoso.test"}); err != nil {
		fmt.Println(err)
		return
	}
	state, err := store.Load(ctx)
	fmt.Println(state.Tenant, err)
	// Output:
	// true
	// contoso.test <nil>
}

// A backoff that gives up after three attempts, a second apart.
func ExampleProvisioner_backoff() {
	backoff := func(_ provision.Step, n int, _ error) time.Duration {
		if n >= 3 {
			return 0
		}
		return time.Second
	}
	for n := 1; n <= 3; n++ {
		fmt.Println(n, backoff(provision.StepJoin, n, io.EOF))
	}
	// Output:
	// 1 1s
	// 2 1s
	// 3 0s
}

// A Trace writes down what crosses its two seams.
func ExampleTrace() {
	var trace trace.Trace
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
	var err error = &provision.Error{Step: provision.StepEK, Err: fmt.Errorf("%w: it is of another TPM", provision.ErrState)}
	var e *provision.Error
	if errors.As(err, &e) {
		fmt.Println(e)
		fmt.Println(e.Remedy())
	}
	// Output:
	// provision: ek: stored state cannot be continued: it is of another TPM
	// If it is the state of this device, remove it to provision the device again. If not, give the right one.
}
