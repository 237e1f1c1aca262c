package attesttest_test

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest/attesttest"
)

func Example() {
	tpm, err := attesttest.New(attesttest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tpm.Close()
	counter := attesttest.Counter(tpm)
	ek, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81010001)}.Execute(counter)
	if err != nil {
		fmt.Println(err)
		return
	}
	objects, sessions := tpm.Loaded()
	fmt.Printf("EK %x...\n", ek.Name.Buffer[:6])
	fmt.Println(counter.Commands(), objects, sessions)
	// Output:
	// EK 000bc3340c38...
	// [TPM2_ReadPublic] 0 0
}
