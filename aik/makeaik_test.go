package aik_test

import (
	"context"
	"crypto"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/aik"
	"github.com/whiteglove/whiteglove/attest"
	exchange "github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/scep"
)

// patience is how long a test waits for what is to happen at once.
const patience = 20 * time.Second

// within returns a context that ends when patience does.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestMake makes the attestation key while the CA is looked up: each waits until
// the other has begun, and would do so in vain if one came after the other.
func TestMake(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	ctx := within(t)
	making, asked := make(chan struct{}), make(chan struct{})
	s.Fail = func(op string, w http.ResponseWriter) bool {
		if op != "GetCACaps" {
			return false
		}
		close(asked)
		select {
		case <-making:
			return false
		case <-ctx.Done():
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
	}
	d.AIKCreation = nil
	d.MakeAIK = func(ctx context.Context) (_ *attest.Statement, err error) {
		close(making)
		select {
		case <-asked:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if d.key, err = d.tpm.CreateKey(ctx, rsaAIK); err != nil {
			return nil, err
		}
		return d.key.Creation(), nil
	}
	chain, err := start(t, s, s.Roots()).Enroll(ctx, d.Request)
	if err != nil || len(chain) != 3 {
		t.Fatalf("%d certificates, %v; refusals %q", len(chain), err, s.Refusals())
	}
	if !d.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(chain[0].PublicKey) || d.AIKCreation != nil {
		t.Error("the certificate is for another key, or the request was changed")
	}
}

// TestSignerBesideMake makes the key of the SCEP messages while the attestation key is
// made: each waits until the other has begun.
func TestSignerBesideMake(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	ctx := within(t)
	making, signing := make(chan struct{}), make(chan struct{})
	generate := exchange.NewSigner
	t.Cleanup(func() { exchange.NewSigner = generate })
	exchange.NewSigner = func() (exchange.Signer, error) {
		close(signing)
		select {
		case <-making:
			return generate()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	creation := d.AIKCreation
	d.AIKCreation, d.Signer = nil, nil
	d.MakeAIK = func(ctx context.Context) (*attest.Statement, error) {
		close(making)
		select {
		case <-signing:
			return creation, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	chain, err := start(t, s, s.Roots()).Enroll(ctx, d.Request)
	if err != nil || len(chain) != 3 {
		t.Fatalf("%d certificates, %v; refusals %q", len(chain), err, s.Refusals())
	}
	if d.Signer != nil {
		t.Error("the request was changed")
	}
}

// A signer that cannot be made ends the enrollment before anything is sent to the CA but
// the questions of the look-up.
func TestNoSigner(t *testing.T) {
	d, s := newDevice(t, isRSA, rsaAIK), newServer()
	d.Signer = nil
	broken := errors.New("no random numbers")
	generate := exchange.NewSigner
	t.Cleanup(func() { exchange.NewSigner = generate })
	exchange.NewSigner = func() (exchange.Signer, error) { return nil, broken }
	s.Fail = func(op string, w http.ResponseWriter) bool {
		if op == "PKIOperation" {
			t.Error("a request was sent")
		}
		return false
	}
	if _, err := start(t, s, s.Roots()).Enroll(within(t), d.Request); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// made returns a Make that must not be called.
func made(t *testing.T, d *device) func(context.Context) (*attest.Statement, error) {
	return func(context.Context) (*attest.Statement, error) {
		t.Error("a key was made")
		return d.AIKCreation, nil
	}
}

// stopped waits until it is told to stop, and says so.
func stopped(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return errors.New("nobody said to stop")
	}
}

// TestMakeFails has either side fail, or both. The other is stopped, has ended
// when Begin does, and is told of if it has more to tell.
func TestMakeFails(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	broken := errors.New("the TPM is gone")
	unproven := *d.AIKCreation
	unproven.CreationData = nil
	type statement = attest.Statement
	const ok, busy, hangs = 0, http.StatusServiceUnavailable, -1 // answers of the CA
	for _, tt := range []struct {
		name string
		ca   int
		make func(context.Context) (*statement, error)
		op   string
		want error  // wrapped
		text string // how the error begins, and then ends
		code uint32
	}{
		{
			"no key", hangs, func(context.Context) (*statement, error) { return nil, broken },
			"make", broken, "aik: make: the TPM is gone (", 0,
		},
		{
			"no CA", busy, func(ctx context.Context) (*statement, error) { return nil, stopped(ctx) },
			"authority", nil, "aik: authority: scep: GetCACaps … (0x801901F7)", 0x801901F7,
		},
		{
			"neither", busy, func(ctx context.Context) (*statement, error) { return nil, errors.Join(broken, deaf(ctx)) },
			"authority", broken, "aik: authority: scep: GetCACaps … (0x801901F7); aik: make: the TPM is gone", 0x801901F7,
		},
		{
			"no CA for the key", busy, func(ctx context.Context) (*statement, error) { return d.AIKCreation, deaf(ctx) },
			"authority", nil, "aik: authority: scep: GetCACaps … (0x801901F7)", 0x801901F7,
		},
		{
			"no statement", hangs, func(context.Context) (*statement, error) { return nil, nil },
			"request", aik.ErrRequest, "aik: request: … Request.MakeAIK returned neither a statement nor an error (", 0x80070057,
		},
		{
			"no proof", ok, func(context.Context) (*statement, error) { return &unproven, nil },
			"request", aik.ErrRequest, "aik: request: … no creation statement of the attestation key (", 0x80070057,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, running := within(t), 0
			c := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch tt.ca {
				case ok:
					server().ServeHTTP(w, r)
				case hangs:
					<-r.Context().Done()
				default:
					w.WriteHeader(tt.ca)
				}
			}), server().Roots())
			req := *d.Request
			req.AIKCreation = nil
			req.MakeAIK = func(ctx context.Context) (*statement, error) {
				running++ // Begin must wait, or -race says so
				defer func() { running-- }()
				return tt.make(ctx)
			}
			ch, err := c.Begin(ctx, &req)
			var e *aik.Error
			if !errors.As(err, &e) || e.Op != tt.op || e.HRESULT() != tt.code || ch != nil || ctx.Err() != nil {
				t.Fatalf("challenge %v, error %v, context %v", ch, err, ctx.Err())
			}
			if running != 0 || e.URL == "" || e.Retryable() != (tt.ca == busy) {
				t.Errorf("%d keys are being made, URL %q, retryable %v", running, e.URL, e.Retryable())
			}
			if tt.want != nil && !errors.Is(err, tt.want) || errors.Is(err, context.Canceled) {
				t.Errorf("error does not wrap what it should, or that it was stopped: %v", err)
			}
			begin, end, _ := strings.Cut(tt.text, "…")
			if rest, found := strings.CutPrefix(err.Error(), begin); !found || !strings.Contains(rest, end) {
				t.Errorf("%q is not %q", err, tt.text)
			}
		})
	}
}

// deaf waits as stopped does, and forgets what it was told.
func deaf(ctx context.Context) error {
	if err := stopped(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// TestMakeCanceled cancels both. It is told once.
func TestMakeCanceled(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	c := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), server().Roots())
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	ended := false
	d.AIKCreation = nil
	d.MakeAIK = func(ctx context.Context) (*attest.Statement, error) {
		defer func() { ended = true }()
		cancel()
		return nil, stopped(ctx)
	}
	_, err := c.Begin(ctx, d.Request)
	var e *aik.Error
	if !errors.As(err, &e) || !errors.Is(err, context.Canceled) || !ended || strings.Count(err.Error(), "canceled") != 1 {
		t.Errorf("error is %v, ended: %v", err, ended)
	}
}

// TestMakeInVain makes no key where there is no CA to ask.
func TestMakeInVain(t *testing.T) {
	d := newDevice(t, isRSA, rsaAIK)
	bare := *d.EKChain[0]
	bare.AuthorityKeyId = nil
	d.EKChain[0], d.EKChain = &bare, d.EKChain[:1]
	d.MakeAIK, d.AIKCreation = made(t, d), nil
	if _, err := new(aik.Client).Begin(within(t), d.Request); !errors.Is(err, aik.ErrNoAuthority) {
		t.Errorf("error is %v", err)
	}
}

// TestMakeForForeignRA shows that the key's making ends with the CA's trust.
func TestMakeForForeignRA(t *testing.T) {
	d, s, other := newDevice(t, isRSA, rsaAIK), server(), newServer()
	d.AIKCreation = nil
	d.MakeAIK = func(ctx context.Context) (*attest.Statement, error) { return nil, stopped(ctx) }
	_, err := start(t, s, other.Roots()).Begin(within(t), d.Request)
	if !errors.Is(err, scep.ErrUntrusted) || errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
