package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/whiteglove/whiteglove/internal/evtx/evtxtest"
)

// repeated returns as many copies of part as fit in size bytes.
func repeated(part string, size int) []byte { return bytes.Repeat([]byte(part), size/len(part)) }

// volume writes 100 MB of evidence into a folder.
func volume(t *testing.T) (dir string) {
	dir = t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var list []evtxtest.Event
	for i := range 20_000 {
		list = append(list, events("MD", uint16(100+i%200), "HRESULT", hr(0x80180014), "Text", strings.Repeat("x", 100)).events...)
	}
	log := evtxtest.Log(list, evtxtest.Options{})
	for total := 0; total < 40<<20; total += len(log) {
		write(fmt.Sprint(total, ".evtx"), log)
	}
	write("IME.log", repeated(`<![LOG[[Win32App] some ordinary line of a log that is about 0x0 and nothing]LOG]!><time="09:08:07.1" date="11-28-2026" component="IME">`+"\r\n", 20<<20))
	write("access.log", repeated(tunnel(1, "TCP_TUNNEL/200", 9000, "login.live.com")+tunnel(2, "TCP_TUNNEL/200", 9000, "www.example.com"), 20<<20))
	entry := strings.TrimSuffix(archive12([4]any{1, "https://login.live.com/", 200, `,"headers":[{"name":"Server","value":"` + strings.Repeat("x", 1000) + `"}]`}), "]}}")
	head, entry, _ := strings.Cut(entry, `"entries":[`)
	har := repeated(entry+",\n", 20<<20)
	write("device.har", append([]byte(head+`"entries":[`), append(har, entry+"]}}"...)...))
	return dir
}

// TestVolume reads 100 MB in less than ten seconds of processor time and with less
// than 200 MB of memory. A process of its own reads them, so that nothing else counts.
func TestVolume(t *testing.T) {
	if dir := os.Getenv("WHITEGLOVE_VOLUME"); dir != "" {
		readVolume(t, dir)
		return
	}
	if testing.Short() || os.Getenv("WHITEGLOVE_CAMPAIGN") == "" {
		t.Skip("WHITEGLOVE_CAMPAIGN is not set")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestVolume$")
	cmd.Env = append(os.Environ(), "WHITEGLOVE_VOLUME="+volume(t))
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	memory, _, _ := strings.Cut(string(out), " ")
	bytes, err := strconv.Atoi(memory)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("100 MB in %v, of which the processor was used %v, with %d MB from the system", time.Since(begin), used, bytes>>20)
	if used > 10*time.Second || bytes > 200<<20 {
		t.Error("that is too much")
	}
}

// readVolume reads evidence, and prints the bytes of memory that this took.
func readVolume(t *testing.T, dir string) {
	var c Case
	if err := c.AddPath(ctx, dir); err != nil {
		t.Fatal(err)
	}
	r := c.Report()
	for _, s := range r.Sources {
		if s.Records < 1000 || s.Kind == kindText {
			t.Errorf("%+v", s)
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Print(m.Sys, " bytes\n")
}
