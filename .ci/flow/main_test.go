package main

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/provision"
)

// TestPicture draws each step once, as XML that can be read.
func TestPicture(t *testing.T) {
	steps := slices.Concat([]provision.Step{provision.StepProfile}, provision.Technician(), provision.UserPhase(), []provision.Step{provision.StepOwner})
	var drawn []provision.Step
	for _, b := range boxes {
		drawn = append(drawn, b.step)
	}
	slices.Sort(steps)
	slices.Sort(drawn)
	if !slices.Equal(steps, drawn) {
		t.Errorf("drawn: %v, steps: %v", drawn, steps)
	}
	for dec := xml.NewDecoder(strings.NewReader(picture())); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
