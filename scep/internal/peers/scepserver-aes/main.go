// Scepserver-aes is micromdm's scepserver with AES instead of single DES,
// which its own program has no flag for. It takes the depot that "scepserver
// ca -init" made.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	kitlog "github.com/go-kit/kit/log"
	"github.com/micromdm/scep/v2/depot"
	"github.com/micromdm/scep/v2/depot/file"
	"github.com/micromdm/scep/v2/server"
	"github.com/smallstep/pkcs7"
)

func main() {
	dir := flag.String("depot", "depot", "CA folder")
	address := flag.String("http-addr", "127.0.0.1:8080", "loopback address to listen on")
	challenge := flag.String("challenge", "", "challenge password")
	flag.Parse()
	handler, err := newHandler(*dir, *challenge)
	if err != nil {
		log.Fatal(err)
	}
	s := &http.Server{Addr: *address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(s.ListenAndServe())
}

func newHandler(dir, challenge string) (http.Handler, error) {
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES128CBC
	d, err := file.NewFileDepot(dir)
	if err != nil {
		return nil, err
	}
	certs, key, err := d.CA(nil)
	if err != nil {
		return nil, err
	}
	signer := scepserver.SignCSRAdapter(depot.NewSigner(d, depot.WithAllowRenewalDays(0), depot.WithValidityDays(30)))
	service, err := scepserver.NewService(certs[0], key, scepserver.StaticChallengeMiddleware(challenge, signer))
	if err != nil {
		return nil, err
	}
	return scepserver.MakeHTTPHandler(scepserver.MakeServerEndpoints(service), service, kitlog.NewNopLogger()), nil
}
