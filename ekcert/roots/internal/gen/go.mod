// The module whose files the bundle is made from. It is not part of the main
// module's graph, and nothing of it is compiled: do not run go mod tidy here.
module github.com/whiteglove/whiteglove/ekcert/roots/internal/gen

go 1.26.0

require github.com/loicsikidi/tpm-ca-certificates v0.9.0
