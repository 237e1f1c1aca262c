// The modules whose files the bundle is made from. They are not part of the main
// module's graph, and nothing of them is compiled: do not run go mod tidy here.
module github.com/whiteglove/whiteglove/ekcert/roots/internal/gen

go 1.26.0

require (
	github.com/google/go-tpm-tools v0.4.7
	github.com/loicsikidi/tpm-ca-certificates v0.9.0
)
