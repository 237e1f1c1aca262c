// Package bench measures this module beside others that do the same: go-attestation,
// and the SCEP of micromdm and smallstep. It is a module of its own, so that their
// requirements are nobody else's.
//
//	go test -bench . -benchtime 1x
//	go test -bench . -count 10 | benchstat -col /by -
//	go run ./table >../docs/performance.md
//
// In the name of each benchmark, "by=" says whose code runs. Counts (commands, allocations,
// RSA operations, requests) are the same on every machine; times are this machine's, so
// that only their ratios say something. The times of a chip are those of a model, which
// [attesttest.SLB9672] has with its source.
package bench
