package roots_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/ekcert"
	"github.com/whiteglove/whiteglove/ekcert/roots"
)

// Make a client with the makers' roots.
func Example() {
	makers, intermediates, err := roots.Load()
	if err != nil {
		log.Fatal(err)
	}
	client := &ekcert.Client{Roots: makers, Intermediates: intermediates, Pins: roots.Pins()}
	fmt.Println(client.Roots["IFX"] != nil, client.Roots["SIM0"] != nil, len(client.Pins["INTC"]))
	// Output:
	// true false 1
}

// certificates returns the certificates of the bundle for a use, by maker.
func certificates(t *testing.T, use string) map[string][]*x509.Certificate {
	t.Helper()
	text, err := os.ReadFile("bundle.pem")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]*x509.Certificate)
	for part := range strings.SplitSeq(string(text), "# Owner: ") {
		owner, rest, _ := strings.Cut(part, "\n")
		if !strings.HasPrefix(rest, "# Use: "+use+"\n") {
			continue
		}
		block, _ := pem.Decode([]byte(rest))
		if block == nil {
			t.Fatalf("no PEM after %q", owner)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		all[owner] = append(all[owner], cert)
	}
	return all
}

func TestRootsArePinned(t *testing.T) {
	makers, _, err := roots.Load()
	if err != nil {
		t.Fatal(err)
	}
	found := certificates(t, "root")
	if len(makers) != len(pins) || len(found) != len(pins) {
		t.Errorf("%d makers in the pools, %d in the bundle, want %d", len(makers), len(found), len(pins))
	}
	for owner, want := range pins {
		pool := x509.NewCertPool()
		var got []string
		for _, cert := range found[owner] {
			sum := sha256.Sum256(cert.Raw)
			got = append(got, hex.EncodeToString(sum[:]))
			pool.AddCert(cert)
		}
		slices.Sort(got)
		want = slices.Sorted(slices.Values(want))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", owner, got, want)
		}
		if makers[owner] == nil || !makers[owner].Equal(pool) {
			t.Errorf("%s: the pool is not what the bundle has", owner)
		}
	}
}

// TestPins checks that the pins are complete digests of roots that the bundle lacks.
func TestPins(t *testing.T) {
	count := 0
	for vendor, sums := range roots.Pins() {
		for _, sum := range sums {
			count++
			if slices.Contains(pins[vendor], hex.EncodeToString(sum[:])) || sum == [32]byte{} {
				t.Errorf("%s: %x", vendor, sum)
			}
		}
	}
	if count != 4 {
		t.Errorf("%d pins", count)
	}
}

// orphans are the intermediate CAs in the bundle whose root it lacks.
var orphans = []string{
	"STM TPM ECC Intermediate CA 02", "STM TPM ECC Intermediate CA 03",
	"STM TPM ECC384 Intermediate CA 01", "STM TPM ECC384 Intermediate CA 02",
	"Pluton Factory DEVICE EK ICA DFID0001", "Pluton Factory FIPS EK ICA DFID0001",
	"Pluton Factory DEVICE EK ICA DFID008A0F00", "Pluton Factory FIPS EK ICA DFID008A0F00",
	"Pluton Factory DEVICE EK ICA DFID00A60F11", "Pluton Factory FIPS EK ICA DFID00A60F11",
}

// TestIntermediates checks that each intermediate CA leads to a root of its own maker,
// except the known orphans.
func TestIntermediates(t *testing.T) {
	makers, intermediates, err := roots.Load()
	if err != nil {
		t.Fatal(err)
	}
	made := time.Date(2026, 4, 11, 0, 0, 0, 0, time.UTC)
	total := 0
	for owner, certs := range certificates(t, "intermediate") {
		for _, cert := range certs {
			total++
			_, err := cert.Verify(x509.VerifyOptions{
				Roots: makers[owner], Intermediates: intermediates,
				CurrentTime: made, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			if (err != nil) != slices.Contains(orphans, cert.Subject.CommonName) {
				t.Errorf("%s: %v: %v", owner, cert.Subject, err)
			}
			if _, err := cert.Verify(x509.VerifyOptions{
				Roots: makers["MSFT"], Intermediates: intermediates,
				CurrentTime: made, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			}); err != nil && strings.HasPrefix(cert.Subject.CommonName, "Pluton Factory") {
				t.Errorf("%v does not lead to Microsoft's root: %v", cert.Subject, err)
			}
		}
	}
	if total != 146 {
		t.Errorf("%d intermediates", total)
	}
}

func TestLoadGivesOwnPools(t *testing.T) {
	one, oneInter, err := roots.Load()
	if err != nil {
		t.Fatal(err)
	}
	extra := certificates(t, "intermediate")["IFX"][0]
	one["IFX"].AddCert(extra)
	one["AMD"] = nil
	two, twoInter, err := roots.Load()
	if err != nil {
		t.Fatal(err)
	}
	if two["AMD"] == nil || two["IFX"].Equal(one["IFX"]) || !oneInter.Equal(twoInter) || oneInter == twoInter {
		t.Error("what one caller adds, the next one gets")
	}
}

// TestReproducible generates the bundle again from the pinned module. It needs the go
// command, and the module from its cache or the network.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches a module")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", ".", "-check", "../../bundle.pem")
	cmd.Dir = "internal/gen"
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("go mod download:")) || errors.Is(err, exec.ErrNotFound) {
		if os.Getenv("WHITEGLOVE_REQUIRE_TOOLS") != "" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("the module cannot be had: %s", out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
