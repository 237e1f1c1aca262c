package main

import (
	"strings"
	"testing"
)

const output = `goos: linux
cpu: A Processor @ 2 GHz
BenchmarkVerify/key=rsa/by=whiteglove-2     	 20	 300000 ns/op	 10 allocs/op
BenchmarkVerify/key=rsa/by=go-attestation-2 	 20	 390000 ns/op	 90 allocs/op
BenchmarkVerify/key=rsa/by=whiteglove-2     	 20	 100000 ns/op	 10 allocs/op
BenchmarkVerify/key=rsa/by=whiteglove-2     	 20	 200000 ns/op	 12 allocs/op
BenchmarkOther-2 	 20	 390 ns/op
BenchmarkAlone/by=whiteglove-2 	 20	 390 ns/op
BenchmarkZero/by=whiteglove 	 20	 0 x/op	odd
BenchmarkTPM/by=whiteglove 	 20	 5 ns/op	2 commands/op
BenchmarkTPM/by=other 	 20	 5 ns/op	3 commands/op
BenchmarkZero/by=other 	 20	 2.5 x/op	1 y
PASS
`

// The table has medians, shortest times and ratios of what several have done.
func TestTable(t *testing.T) {
	f := parse(output)
	want := `| what | unit | whiteglove | other | | ratio |
|---|---|---|---|---|---|
| Verify/key=rsa | µs | 100 | 390 | go-attestation | 3.90 |
| Verify/key=rsa | allocs | 10 | 90 | go-attestation | 9.00 |
| Zero | x | 0 | 2.5 | other | – |
| TPM | commands | 2 | 3 | other | 1.50 |`
	if got := f.table(); got != want || f.cpu != "A Processor @ 2 GHz" {
		t.Errorf("%q\n%s", f.cpu, got)
	}
	text, err := render(page, f, "go linux amd64")
	if err != nil || !strings.Contains(string(text), want) || !strings.Contains(string(text), "go linux amd64, A Processor") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 17: "17", 1.25: "1.25", 99.96: "100", 123.6: "124", 1234567: "1234567"} {
		if got := number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
