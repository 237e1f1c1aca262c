package attest_test

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/whiteglove/whiteglove/attest"
)

// A TPM without TPM2_CreateLoaded is asked for it once.
func TestNoCreateLoaded(t *testing.T) {
	tr := emulator(t, "ready")
	for _, there := range []bool{true, false} {
		asked := 0
		p := &tap{TPM: tr, before: func(command []byte) []byte {
			if commandCode(command) != tpm2.TPMCCCreateLoaded {
				return nil
			}
			if asked++; there {
				return nil
			}
			return rcAnswer(0x143)
		}}
		tpm := &attest.TPM{Transport: p}
		for n := range 2 {
			p.reset()
			signs(t, create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Sign}))
			log := p.reset()
			if made := slices.Contains(log, "Create"); made == there || asked != map[bool]int{true: n + 1, false: 1}[there] {
				t.Errorf("there: %v, key %d: asked for %d times, commands %v", there, n, asked, log)
			}
		}
	}
	noneLoaded(t, tr)
}

// A refusal of TPM2_CreateLoaded that is no lack of the command is the error.
func TestCreateLoadedRefused(t *testing.T) {
	p := &tap{TPM: emulator(t, "ready"), before: func(command []byte) []byte {
		if commandCode(command) == tpm2.TPMCCCreateLoaded {
			return rcAnswer(0x2C3) // TPM_RC_KEY_SIZE of the second parameter or like it
		}
		return nil
	}}
	_, err := (&attest.TPM{Transport: p}).CreateKey(context.Background(), attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
	if log := p.reset(); err == nil || slices.Contains(log, "Create") {
		t.Errorf("%v after %v", err, log)
	}
}

// A storage key that the caller names has to be one, with the name of its area.
func TestStorageKeyChecked(t *testing.T) {
	tr := emulator(t, "fresh")
	persist(t, tr, tpm2.TPMRHOwner, signingTemplate(), 0x81000005)
	persist(t, tr, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate, 0x81000006)
	for name, tt := range map[string]struct {
		handle uint32
		change func(command, answer []byte) []byte
		want   string // in the error
	}{
		"a storage key": {0x81000006, nil, ""},
		"a signing key": {0x81000005, nil, "not a storage key"},
		"another name": {0x81000006, func(command, answer []byte) []byte {
			if commandCode(command) == tpm2.TPMCCReadPublic {
				answer[len(answer)-40] ^= 1 // in the name, before the qualified name
			}
			return answer
		}, "name does not belong"},
	} {
		p := &tap{TPM: tr, change: tt.change}
		tpm := &attest.TPM{Transport: p, StorageKey: tt.handle}
		for range 2 {
			p.reset()
			_, err := tpm.CreateKey(context.Background(), attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
			log := p.reset()
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "TPM2_ReadPublic")) {
				t.Errorf("%s: %v after %v", name, err, log)
			}
		}
	}
	noneLoaded(t, tr)
}

// A storage key that the TPM makes is the one asked for.
func TestPrimaryChecked(t *testing.T) {
	tr := emulator(t, "fresh")
	other := func(template tpm2.TPMTPublic) func(command []byte) []byte {
		return func(command []byte) []byte {
			if commandCode(command) != tpm2.TPMCCCreatePrimary {
				return nil
			}
			r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template)}.Execute(tr)
			if err != nil {
				t.Fatal(err)
			}
			body := binary.BigEndian.AppendUint32(nil, uint32(r.ObjectHandle))
			parameters := slices.Concat(tpm2.Marshal(r.OutPublic), tpm2.Marshal(r.CreationData), tpm2.Marshal(r.CreationHash), tpm2.Marshal(r.CreationTicket), tpm2.Marshal(r.Name))
			body = append(binary.BigEndian.AppendUint32(body, uint32(len(parameters))), parameters...)
			body = append(body, 0, 0, 1, 0, 0) // the password's part
			answer := binary.BigEndian.AppendUint32([]byte{0x80, 2}, uint32(10+len(body)))
			return append(append(answer, 0, 0, 0, 0), body...)
		}
	}
	name := func(command, answer []byte) []byte {
		if commandCode(command) == tpm2.TPMCCCreatePrimary {
			answer[len(answer)-6] ^= 1
		}
		return answer
	}
	for what, tt := range map[string]struct {
		p     *tap
		fails bool
	}{
		"the key asked for":  {&tap{TPM: tr, before: other(tpm2.ECCSRKTemplate)}, false},
		"an RSA storage key": {&tap{TPM: tr, before: other(tpm2.RSASRKTemplate)}, true},
		"a signing key":      {&tap{TPM: tr, before: other(signingTemplate())}, true},
		"another name":       {&tap{TPM: tr, change: name}, true},
	} {
		_, err := (&attest.TPM{Transport: tt.p}).CreateKey(context.Background(), attest.Template{Algorithm: attest.P256, Usage: attest.Sign})
		if (err != nil) != tt.fails || err != nil && !strings.Contains(err.Error(), "TPM2_CreatePrimary") {
			t.Errorf("%s: %v", what, err)
		}
		noneLoaded(t, tr)
	}
}

// Only a key that is not at its usual handle is made, and only then is a
// credential opened a second time.
func TestActivationTries(t *testing.T) {
	for _, state := range []string{"ready", "fresh"} {
		for name, tt := range map[string]struct {
			assumed, evicted, other bool
		}{
			"there":                              {true, false, false},
			"there, another credential":          {true, false, true},
			"found, then evicted":                {false, true, false},
			"found, another credential":          {false, false, true},
			"assumed, evicted, other credential": {true, true, true},
		} {
			tr := emulator(t, state)
			p := &tap{TPM: tr}
			tpm := &attest.TPM{Transport: p}
			ek := firstEK(t, tpm)
			if tt.assumed {
				var err error
				if ek, err = attest.DefaultEK(ek.Public); err != nil {
					t.Fatal(err)
				}
			}
			aik := create(t, tpm, attest.Template{Algorithm: attest.P256, Usage: attest.Attest})
			name2 := aik.Name()
			if tt.other {
				name2[5] ^= 1
			}
			credential, err := attest.MakeCredential(ek.PublicArea, name2, []byte("secret"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.evicted && state == "ready" {
				forget(t, tr, 0x81010001)
			}
			p.reset()
			_, err = tpm.ActivateCredential(context.Background(), ek, aik, credential)
			log := p.reset()
			tries := 0
			for _, c := range log {
				if c == "ActivateCredential" {
					tries++
				}
			}
			want, gone := 1, tt.evicted && state == "ready"
			if gone && tt.assumed {
				want = 2
			}
			if tries != want || (err == nil) == (tt.other || gone) {
				t.Errorf("%s, %s: %d tries, %v; commands %v", state, name, tries, err, log)
			}
			noneLoaded(t, tr)
		}
	}
}
