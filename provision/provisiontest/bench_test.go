package provisiontest_test

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/whiteglove/whiteglove/attest"
	"github.com/whiteglove/whiteglove/attest/attesttest"
	"github.com/whiteglove/whiteglove/internal/challenge"
	"github.com/whiteglove/whiteglove/internal/cputime"
	"github.com/whiteglove/whiteglove/internal/rsapool"
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

// BenchmarkConcurrent takes devices to be enrolled, several at the same time. No key is
// searched for, so that what is left is the work of the protocols. kept-B is what the
// servers keep of a device.
func BenchmarkConcurrent(b *testing.B) {
	generate := challenge.NewSigner
	b.Cleanup(func() { challenge.NewSigner = generate })
	challenge.NewSigner = func() (challenge.Signer, error) { return rsapool.Key(), nil }
	for _, at := range []int{1, 8, 64} {
		b.Run(strconv.Itoa(at), func(b *testing.B) { benchmarkConcurrent(b, at) })
	}
}

func benchmarkConcurrent(b *testing.B, at int) {
	s := provisiontest.NewServer()
	defer s.Close()
	run := func(ctx context.Context) error {
		d, err := s.NewDevice(ctx, attesttest.Config{})
		if err != nil {
			return err
		}
		defer d.Close()
		_, err = s.Provisioner(d).Run(ctx)
		return err
	}
	if err := run(b.Context()); err != nil { // the CAs are made now
		b.Fatal(err)
	}
	heap, cpu := liveHeap(), cputime.Process()
	b.ResetTimer()
	var all sync.WaitGroup
	var begun atomic.Int64
	for range at {
		all.Go(func() {
			for begun.Add(1) <= int64(b.N) {
				if err := run(b.Context()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric((cputime.Process()-cpu).Seconds()*1000/n, "cpu-ms/op")
	b.ReportMetric(n/b.Elapsed().Seconds(), "devices/s")
	b.ReportMetric((liveHeap()-heap)/n, "kept-B/op")
}

// liveHeap returns the bytes of what is in use.
func liveHeap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
