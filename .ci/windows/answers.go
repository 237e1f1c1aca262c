package main

import (
	"context"
	"fmt"
)

// answers are what TBS says, and what a program then has to say.
var answers = []struct {
	name string
	how  behavior
	says []string
}{
	{"no TPM", behavior{fault: always(errTPMNotFound)}, []string{"no TPM 2.0", "0x8028400F", "firmware"}},
	{"a TPM 1.2", behavior{version: 1}, []string{"TPM 1.2"}},
	{"TBS is not running", behavior{fault: always(errServiceNotRunning)}, []string{"0x80284008", "Start the TBS service"}},
	{"TBS admits only administrators", behavior{fault: always(errAccessDenied)}, []string{"0x80284012", "administrator"}},
	{"a blocked command", behavior{fault: from(4, errCommandBlocked)}, []string{"0x80280400"}},
	{"a canceled command", behavior{fault: from(4, errCommandCanceled)}, []string{"0x8028400D"}},
	{"a lost context", behavior{fault: from(4, errInvalidContext)}, []string{"0x80284004"}},
}

// always is a TBS that answers each call so.
func always(result uint32) func(int, int, []byte) uint32 {
	return func(int, int, []byte) uint32 { return result }
}

// from is a TBS that answers commands so after the first n.
func from(n int, result uint32) func(int, int, []byte) uint32 {
	return func(function, before int, _ []byte) uint32 {
		if function == submitCommand && before >= n {
			return result
		}
		return 0
	}
}

// tbsAnswers has programs meet each of the answers.
func tbsAnswers(ctx context.Context, m *machine) error {
	for _, a := range answers {
		m.bridge.set(a.how)
		for _, name := range []string{"provision", "attestor"} {
			args := []string{"-tpm", "device", "-url", "https://127.0.0.1:1"}
			if name == "provision" {
				args = []string{"-tpm", "device", "-server", m.url, "-roots", "roots.pem"}
			}
			out, err := ends(m.program(ctx, name, args...), 1, a.says...)
			if err != nil {
				fmt.Printf("%s: %s: %v\n", a.name, name, err)
			}
			fmt.Println(out)
		}
	}
	return nil
}
