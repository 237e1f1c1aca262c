module github.com/whiteglove/whiteglove

go 1.26.0

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/google/go-attestation v0.6.4
	github.com/google/go-tpm v0.9.8
	go.mozilla.org/pkcs7 v0.10.0
	golang.org/x/crypto v0.58.0
)

require golang.org/x/sys v0.49.0
