package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/examples/internal/exampletest"
	"github.com/whiteglove/whiteglove/provision"
	"github.com/whiteglove/whiteglove/provision/provisiontest"
)

// Environment variables that turn the test program into a provision with these
// arguments, which is killed at its n-th point, or at none if n is 0.
const (
	crashAt   = "PROVISION_CRASH_AT"
	crashArgs = "PROVISION_CRASH_ARGS"
)

// What such a provision prints last: that it is killed, or how many points it
// passed.
const (
	wasKilled = "-- killed --"
	hasPassed = "-- passed "
)

func TestMain(m *testing.M) {
	at, err := strconv.ParseInt(os.Getenv(crashAt), 10, 64)
	if err != nil {
		os.Exit(m.Run())
	}
	var passed atomic.Int64
	passing = func() {
		if n := passed.Add(1); n == at {
			kill()
		} else if n > at && at > 0 {
			select {}
		}
	}
	code := program().Run(context.Background(), strings.Split(os.Getenv(crashArgs), "\n"), os.Stdout, os.Stderr)
	os.Stdout.WriteString(hasPassed + strconv.FormatInt(passed.Load(), 10))
	os.Exit(code)
}

// kill ends this process by SIGKILL, wherever its other goroutines are.
func kill() {
	os.Stdout.WriteString(wasKilled)
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		p.Kill()
	}
	select {}
}

// crash runs provision in a process of its own, and kills that at a point, or
// not at all if at is 0. It reports whether the process was killed and, if not,
// how many points it passed.
func crash(t *testing.T, at int, args []string) (passed int, killed bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashAt+"="+strconv.Itoa(at), crashArgs+"="+strings.Join(args, "\n"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && strings.Contains(out.String(), wasKilled) {
		return 0, true
	}
	_, count, _ := strings.Cut(out.String(), hasPassed)
	passed, cerr := strconv.Atoi(count)
	if err = errors.Join(err, cerr); err != nil {
		t.Fatalf("to be killed at %d: %v\n%s", at, err, out.String())
	}
	return passed, false
}

// TestCrash kills runs of both phases at their points: each event, and before and
// after each TPM command and each request. The next run must end as a run that
// was not killed: with one device in the directory, one enrollment, nothing loaded
// in the TPM and no secret in a file.
//
// Without WHITEGLOVE_CAMPAIGN it takes a few points, other ones each day.
func TestCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	t.Run("emulator", func(t *testing.T) { campaign(t, 4, emulator) })
	t.Run("swtpm", func(t *testing.T) { campaign(t, 2, swtpm(t)) })
}

// campaign kills runs at a few points, or at all of them. The number of points of
// a run varies a little, since steps run side by side. A run that ends before its
// point does not count.
func campaign(t *testing.T, few int, insert func(*testing.T) *machine) {
	whole := newTrial(t, insert)
	points, _ := whole.crash(t, 0)
	want := whole.finished(t)
	if points < 150 {
		t.Fatalf("a run has only %d points", points)
	}
	every := 1
	if os.Getenv("WHITEGLOVE_CAMPAIGN") == "" {
		every = (points + few - 1) / few
	}
	first := 1 + time.Now().YearDay()%every
	var killed, recovered, late atomic.Int64
	begin := time.Now()
	t.Run("kill", func(t *testing.T) {
		for at := first; at <= points; at += every {
			t.Run(strconv.Itoa(at), func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, insert)
				if _, hit := tr.crash(t, at); !hit {
					late.Add(1)
					return
				}
				killed.Add(1)
				tr.machine.died(t, at)
				made := tr.keys(t)
				tr.crash(t, 0)
				for name, key := range made {
					if after := tr.keys(t)[name]; after != key {
						t.Errorf("the next run replaced %s, which a server may know", name)
					}
				}
				if got := tr.finished(t); !slices.Equal(got, want) {
					t.Errorf("the next run reached %q, not %q", got, want)
				}
				if !t.Failed() {
					recovered.Add(1)
				}
			})
		}
	})
	t.Logf("%d of %d killed runs were finished by the next (points %d to %d in steps of %d; %d kills came too late) in %v",
		recovered.Load(), killed.Load(), first, points, every, late.Load(), time.Since(begin).Round(time.Second))
	if killed.Load() == 0 {
		t.Error("no run was killed")
	}
}

// The user of a trial.
const (
	crashUser     = "grace@" + provisiontest.Tenant
	crashPassword = "correct-horse-battery"
)

// A trial is a device, its files and the servers it meets.
type trial struct {
	server  *provisiontest.Server
	machine *machine
	dir     string // where provision writes all of its files
	flags   []string
}

// newTrial starts servers for a new device. insert returns its machine.
func newTrial(t *testing.T, insert func(*testing.T) *machine) *trial {
	server := &provisiontest.Server{AdmitAny: true, Users: map[string]string{crashUser: crashPassword}}
	flags := start(t, server)
	password := exampletest.File(t, []byte(crashPassword))
	tr := &trial{server: server, machine: insert(t), dir: t.TempDir()}
	tr.flags = append(flags, "-steps", "technician,user", "-user", crashUser, "-password", "@"+password, "-pause", "1ms")
	for _, name := range []string{"state", "out", "trace-md", "har", "report"} {
		tr.flags = append(tr.flags, "-"+name, filepath.Join(tr.dir, name))
	}
	return tr
}

// crash runs provision as crash does.
func (tr *trial) crash(t *testing.T, at int) (passed int, killed bool) {
	t.Helper()
	passed, killed = crash(t, at, append(slices.Clip(tr.flags), "-tpm", tr.machine.flag))
	if left := tr.machine.left(); left != "" && !killed {
		t.Errorf("left in the TPM: %s", left)
	}
	return passed, killed
}

// keys returns the wrapped keys that are in the state so far, by name.
func (tr *trial) keys(t *testing.T) map[string]string {
	t.Helper()
	s, err := provision.FileStore(filepath.Join(tr.dir, "state")).Load(t.Context())
	if errors.Is(err, provision.ErrNoState) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{"AIK": s.AIK, "DeviceKey": s.DeviceKey, "TransportKey": s.TransportKey, "ManagementKey": s.ManagementKey}
	if s.User != nil {
		keys["User.DeviceKey"], keys["User.TransportKey"] = s.User.DeviceKey, s.User.TransportKey
	}
	maps.DeleteFunc(keys, func(_, key string) bool { return key == "" })
	return keys
}

// finished checks what a whole run left on the device and on the servers, and
// returns the names of what its state holds.
func (tr *trial) finished(t *testing.T) []string {
	t.Helper()
	noSecrets(t, tr.dir, crashPassword)
	s, err := provision.FileStore(filepath.Join(tr.dir, "state")).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	objects := tr.server.Directory.Objects()
	if len(objects) != 1 || !objects[0].Enabled || objects[0].DeviceID != s.DeviceID || objects[0].Owner != crashUser {
		t.Errorf("device %s joined; the directory has %+v", s.DeviceID, objects)
	}
	enrolled := tr.server.Management.Enrolled()
	if len(enrolled) == 0 || len(s.ManagementCertificates) == 0 || !bytes.Equal(enrolled[len(enrolled)-1].Raw, s.ManagementCertificates[0]) {
		t.Fatalf("the certificate of management is not the last of the %d it issued", len(enrolled))
	}
	for _, cert := range enrolled { // one whose answer was lost is issued again, for the same device and key
		last := enrolled[len(enrolled)-1]
		if cert.Subject.CommonName != last.Subject.CommonName || !bytes.Equal(cert.RawSubjectPublicKeyInfo, last.RawSubjectPublicKeyInfo) {
			t.Errorf("%s and %s are enrolled", cert.Subject, last.Subject)
		}
	}
	return reachedBy(t, s)
}

// reachedBy returns the names of all fields that a state has, and of those of its
// user, with the names of tenant and user.
func reachedBy(t *testing.T, s *provision.State) []string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var all, user map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(all["user"], &user); err != nil {
		t.Fatal(err)
	}
	names := slices.Concat(slices.Collect(maps.Keys(all)), slices.Collect(maps.Keys(user)))
	slices.Sort(names)
	for _, want := range []string{"sealed", "setUp", "session"} {
		if !slices.Contains(names, want) {
			t.Errorf("the state has no %q", want)
		}
	}
	return append(names, s.Tenant, s.TenantID, s.User.Name)
}

// files returns flags with which a test has a TPM, a state and a folder of its
// own. The folder is last.
func files(t *testing.T) []string {
	dir := t.TempDir()
	return []string{"-tpm", "soft:" + filepath.Join(dir, "tpm"), "-state", filepath.Join(dir, "state"), "-out", filepath.Join(dir, "out")}
}

// noSecrets checks that no file below dir holds a token, a key or one of secrets
// in the clear.
func noSecrets(t *testing.T, dir string, secrets ...string) {
	t.Helper()
	secrets = append(secrets, "eyJhbGciOi", "eyJ0eXAiOi", "Bearer", "BEGIN PRIVATE KEY", "BEGIN RSA", "BEGIN EC ")
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) == "tpm" { // the emulator's memory
			return err
		}
		text, err := os.ReadFile(path)
		for _, secret := range secrets {
			for _, form := range forms(secret) {
				if bytes.Contains(text, []byte(form)) {
					t.Errorf("%s holds %q", filepath.Base(path), form)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// forms returns what a text looks like in a file: as it is, in a URL-encoded
// form, and inside Base64 at each of the three offsets.
func forms(text string) []string {
	list := []string{text, url.QueryEscape(text)}
	for pad := range 3 {
		whole := base64.RawStdEncoding.EncodeToString(append(make([]byte, pad), text...))
		list = append(list, whole[(8*pad+5)/6:(8*(pad+len(text)))/6])
	}
	return list
}
