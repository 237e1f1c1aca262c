package whiteglove_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/whiteglove/whiteglove"
)

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
	if err := store.Save(ctx, &whiteglove.State{Version: 1, Tenant: "contoso.test"}); err != nil {
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
