module github.com/whiteglove/whiteglove/attest/internal/keyfiles

go 1.26.0

require (
	github.com/foxboron/go-tpm-keyfiles v0.0.0-20260902202739-8c9c2d1005f4
	github.com/google/go-tpm v0.9.9-0.20260124013517-8f8f42cba0de
	github.com/whiteglove/whiteglove v0.0.0
)

require (
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace (
	github.com/google/go-tpm => github.com/google/go-tpm v0.9.8 // the main module's
	github.com/whiteglove/whiteglove => ../../..
)
