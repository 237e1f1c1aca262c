package provisiontest_test

import (
	"strconv"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// BenchmarkDevices makes devices, each another one, and takes them to be
// enrolled, one after the other.
func BenchmarkDevices(b *testing.B) {
	for _, fast := range []bool{true, false} {
		b.Run("FastKeys="+strconv.FormatBool(fast), func(b *testing.B) {
			s := provisiontest.NewServer()
			defer s.Close()
			n := 0
			for b.Loop() {
				chip, err := attesttest.New(attesttest.Config{Seed: "bench" + strconv.Itoa(n), FastKeys: fast})
				if err != nil {
					b.Fatal(err)
				}
				n++
				d := &provisiontest.Device{TPM: &attest.TPM{Transport: chip}, Chip: chip}
				if err := s.Admit(b.Context(), d.TPM); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Provisioner(d).Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := d.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "devices/s")
		})
	}
}
