package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// tries are in the order in which they run. Some continue what one before them left.
var tries = []struct {
	name string
	do   func(context.Context, *machine) error
}{
	{"a whole run over TBS", wholeRun},
	{"the run goes on", resumed},
	{"answers of TBS that end a run", tbsAnswers},
	{"answers of TBS that do not", tbsSurvived},
	{"exit statuses", statuses},
	{"the technician's phase, then the user's", phases},
	{"killed again and again, and finished", killed},
	{"two runs with one state", locked},
	{"long names, names beyond ASCII, line ends of Windows", names},
	{"text in a console", printed},
	{"Ctrl-C in a run", interrupted},
	{"Ctrl-C ends the server", served},
	{"the event log of TBS", eventLog},
	{"authorization values that Windows keeps", keptAuth},
	{"certificates in the registry", keptCertificates},
	{"tests of packages", packageTests},
}

// provision returns the program with the machine's TPM and its state in a file.
func (m *machine) provision(ctx context.Context, state string, more ...string) *exec.Cmd {
	args := []string{"-tpm", "device", "-state", state, "-server", m.url, "-roots", "roots.pem", "-json"}
	return m.program(ctx, "provision", append(args, more...)...)
}

// ends runs a program, which must end with an exit status and print these words, between
// which there may be more space.
func ends(cmd *exec.Cmd, status int, words ...string) (output string, _ error) {
	out, err := cmd.CombinedOutput()
	output = string(out)
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		return "", fmt.Errorf("%v instead of exit status %d\n%s", err, status, out)
	}
	for _, word := range words {
		if !strings.Contains(oneLine(output), word) {
			return "", fmt.Errorf("no %q in\n%s", word, out)
		}
	}
	if i := bytes.IndexByte(out, '\x1b'); i >= 0 {
		return "", fmt.Errorf("an escape code at byte %d\n%s", i, out)
	}
	return output, nil
}

// oneLine returns text with one space for each run of white space.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// nothingLeft checks that programs left nothing for TBS to remove, and how many commands
// they sent at most.
func (m *machine) nothingLeft(most int) error {
	commands, left := m.bridge.counts()
	if left > 0 {
		return fmt.Errorf("%d objects and sessions left loaded", left)
	}
	if commands == 0 || commands > most {
		return fmt.Errorf("%d TPM commands instead of 1 to %d", commands, most)
	}
	return nil
}

const enrolled = `"reached":"enrolled"`

func wholeRun(ctx context.Context, m *machine) error {
	out, err := ends(m.provision(ctx, "whole"), 0, enrolled)
	if err == nil && strings.Contains(out, "resumed") {
		err = fmt.Errorf("a new run resumed something\n%s", out)
	}
	if err != nil {
		return err
	}
	return m.nothingLeft(40)
}

func resumed(ctx context.Context, m *machine) error {
	out, err := ends(m.provision(ctx, "whole"), 0, enrolled)
	if err == nil && strings.Count(out, `"resumed"`) < 5 {
		err = fmt.Errorf("not resumed\n%s", out)
	}
	if err != nil {
		return err
	}
	return m.nothingLeft(15)
}
