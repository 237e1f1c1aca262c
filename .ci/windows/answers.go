package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Commands of the TPM (TCG Part 2, 6.5.2).
const (
	createLoaded       = 0x191
	activateCredential = 0x147
)

// answers are what TBS says, and what a program then has to say.
var answers = []struct {
	name string
	how  behavior
	says []string
}{
	{"no TPM", behavior{fault: always(errTPMNotFound)}, []string{"no TPM 2.0", "(0x8028400F TBS_E_TPM_NOT_FOUND)", "firmware setup"}},
	{"a TPM 1.2", behavior{version: 1}, []string{"TPM 1.2", "Switch the TPM to version 2.0"}},
	{"TBS is not running", behavior{fault: always(errServiceNotRunning)}, []string{"(0x80284008 TBS_E_SERVICE_NOT_RUNNING)", "Start the service TBS"}},
	{"TBS admits only administrators", behavior{fault: always(errAccessDenied)}, []string{"(0x80284012 TBS_E_ACCESS_DENIED)", "run as administrator"}},
	{"a blocked command", behavior{fault: on(activateCredential, 1, errCommandBlocked)}, []string{"TPM2_ActivateCredential", "(0x80280400 TPM_E_COMMAND_BLOCKED)", "blocked TPM commands"}},
	{"each command is blocked", behavior{fault: on(0, 1, errCommandBlocked)}, []string{"(0x80280400 TPM_E_COMMAND_BLOCKED)", "blocked TPM commands"}},
	{"TBS is started again and again", behavior{fault: on(0, 8, errInvalidContext)}, []string{"(0x80284004 TBS_E_INVALID_CONTEXT)", "Run again"}},
}

// always is a TBS that answers each call so.
func always(result uint32) func(int, int, []byte) uint32 {
	return func(int, int, []byte) uint32 { return result }
}

// on is a TBS that answers a command of the TPM so, or any if code is 0, from the nth
// time on.
func on(code uint32, nth int, result uint32) func(int, int, []byte) uint32 {
	seen := 0
	return func(function, _ int, in []byte) uint32 {
		if function != submitCommand || code != 0 && binary.BigEndian.Uint32(in[6:]) != code {
			return 0
		}
		if seen++; seen < nth {
			return 0
		}
		return result
	}
}

// once is a TBS that answers so once, after the first n commands.
func once(n int, result uint32) func(int, int, []byte) uint32 {
	done := false
	return func(function, before int, _ []byte) uint32 {
		if function != submitCommand || before < n || done {
			return 0
		}
		done = true
		return result
	}
}

// tbsAnswers has a program meet each of the answers: exit status 1, one line.
func tbsAnswers(ctx context.Context, m *machine) error {
	var errs []error
	for i, a := range answers {
		m.bridge.set(a.how)
		cmd := m.provision(ctx, fmt.Sprint("answers", i), "-json=false", "-timeout", "30s")
		if _, err := ends(cmd, 1, a.says...); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.name, err))
		}
	}
	return errors.Join(errs...)
}

// survived are answers in spite of which a run reaches its end.
var survived = []struct {
	name string
	how  behavior
}{
	{"TPM2_CreateLoaded is blocked", behavior{fault: on(createLoaded, 1, errCommandBlocked)}},
	{"TBS cancels a command when the machine goes to sleep", behavior{fault: once(12, errCommandCanceled)}},
	{"TBS is started again before the first command", behavior{fault: once(0, errInvalidContext)}},
	{"TBS is started again in the middle", behavior{fault: once(16, errInvalidContext)}},
	{"the TPM is reset in the middle", behavior{}},
}

func tbsSurvived(ctx context.Context, m *machine) error {
	var errs []error
	for i, s := range survived {
		m.bridge.set(s.how)
		if strings.HasPrefix(s.name, "the TPM is reset") {
			m.bridge.set(behavior{fault: m.bridge.resetOnce(16)})
		}
		_, err := ends(m.provision(ctx, fmt.Sprint("survived", i)), 0, enrolled)
		if err == nil {
			err = m.nothingLeft(100)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

// resetOnce turns the TPM off and on after the first n commands, as a sleep without
// saved state does.
func (b *bridge) resetOnce(n int) func(int, int, []byte) uint32 {
	done := false
	return func(function, before int, _ []byte) uint32 {
		if function == submitCommand && before >= n && !done {
			done = true
			if err := b.tpm.Reboot(); err != nil {
				fmt.Println("   TBS:", err)
			}
		}
		return 0
	}
}
