package services

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// FaultFlag declares the flag -fault, which adds to faults.
func FaultFlag(f *flag.FlagSet, faults *[]provisiontest.Fault) {
	f.Func("fault", faultUsage(), func(text string) error {
		fault, err := provisiontest.ParseFault(text)
		*faults = append(*faults, fault)
		if err != nil {
			return errors.New(strings.TrimPrefix(err.Error(), fmt.Sprintf("fault %q: ", text))) // the flag's value is named anyway
		}
		return nil
	})
}

// faultUsage returns the help text of -fault.
func faultUsage() string {
	var steps []string
	for _, step := range provisiontest.FaultSteps() {
		steps = append(steps, string(step))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "let N requests of a step go wrong, `STEP:KIND[:N]`; N is 1 if it is left out, and may be \"all\"; may be repeated.\nSteps: %s.\nKinds: an HTTP status from 400 to 599, or", strings.Join(steps, ", "))
	kinds := provisiontest.FaultKinds()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "\n  %-9s %s", kind, kinds[kind])
	}
	b.WriteString("\nThe step tls stands for connections. It goes only with expired and skew: the server shows a certificate made by that clock. nonce goes only with the step token")
	return b.String()
}
