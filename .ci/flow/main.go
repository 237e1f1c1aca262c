// Command flow prints docs/flow.svg, the picture of a run: its steps, what each is
// for, and whom it asks. The same program always prints the same bytes. CI compares
// them with the file.
//
// Usage:
//
//	go run ./.ci/flow >docs/flow.svg
package main

import (
	"fmt"
	"html"
	"strings"

	"github.com/whiteglove/whiteglove/provision"
)

// A box is a step in the picture. Columns and rows count from 0.
type box struct {
	step     provision.Step
	col, row int
	what     [2]string // what the step does, in two lines
	asks     string    // the party that it asks
	ours     bool      // speaks a profile of this module
}

var boxes = []box{
	{provision.StepProfile, 0, 0, [2]string{"check the hash,", "get the profile"}, "profile service", true},
	{provision.StepEK, 0, 1, [2]string{"find and check", "EK certificate"}, "TPM's maker", false},
	{provision.StepAIK, 1, 1, [2]string{"make AIK, get", "its certificate"}, "attestation CA", false},
	{provision.StepDiscover, 2, 0, [2]string{"find the tenant's", "services"}, "directory", false},
	{provision.StepToken, 2, 1, [2]string{"prove the TPM,", "get a token"}, "directory", true},
	{provision.StepKeys, 3, 2, [2]string{"make device and", "transport key"}, "TPM only", false},
	{provision.StepJoin, 3, 1, [2]string{"get the device", "certificate"}, "directory", false},
	{provision.StepEnroll, 4, 1, [2]string{"get certificate", "of management"}, "MDM server", false},
	{provision.StepSession, 5, 1, [2]string{"apply what", "the server sets"}, "MDM server", false},
	{provision.StepSeal, 6, 1, [2]string{"leave tenant,", "stay managed"}, "directory", false},
	{provision.StepRejoin, 4, 3, [2]string{"join again, with", "new keys"}, "directory", false},
	{provision.StepSignIn, 5, 3, [2]string{"get the user's", "refresh token"}, "directory", false},
	{provision.StepOwner, 6, 3, [2]string{"tell the tenant", "of the owner"}, "your function", true},
}

// Sizes in pixels.
const (
	width, height = 984, 540
	left, upper   = 24, 62
	boxW, boxH    = 122, 84
	stepX, stepY  = 136, 114
)

func (b box) x() int { return left + b.col*stepX }
func (b box) y() int { return upper + b.row*stepY }

func main() { fmt.Print(picture()) }

const style = `
.back { fill: #ffffff } .phase { fill: #f3f5f8 } .box { fill: #ffffff; stroke: #3b6ea5; stroke-width: 1.5 }
.ours { stroke: #b35900; stroke-dasharray: 5 3 } .arrow { fill: none; stroke: #57606a; stroke-width: 1.5; marker-end: url(#head) } .head { fill: #57606a }
text { font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; font-size: 12px; fill: #24292f; text-anchor: middle }
.step { font-size: 15px; font-weight: 600 } .asks { fill: #3b6ea5 } .title { font-size: 14px; font-weight: 600; text-anchor: start } .note { text-anchor: start }
@media (prefers-color-scheme: dark) {
.back { fill: #0d1117 } .phase { fill: #161b22 } .box { fill: #0d1117; stroke: #6ca4de }
.ours { stroke: #e3963e } .arrow { stroke: #9aa4af } .head { fill: #9aa4af } text { fill: #e6edf3 } .asks { fill: #79b0ea }
}
`

// picture returns the SVG.
func picture() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title">`, width, height, width, height)
	line(`<title id="title">The steps of a run: the technician's phase from ek to seal, and the user's from rejoin to owner</title>`)
	line(`<style>%s</style>`, style)
	line(`<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>`)
	line(`<rect class="back" width="%d" height="%d"/>`, width, height)
	line(`<rect class="phase" x="10" y="10" width="%d" height="%d" rx="8"/>`, width-20, 372)
	line(`<text class="title" x="24" y="34">Technician's phase: a bare TPM becomes a managed device</text>`)
	line(`<rect class="phase" x="%d" y="392" width="%d" height="138" rx="8"/>`, left+4*stepX-14, width-10-(left+4*stepX-14))
	line(`<text class="title" x="24" y="420">User's phase, after the device was handed over:</text>`)
	line(`<text class="note" x="24" y="442">the same device in the directory, and a user who is signed in</text>`)
	line(`<rect class="box" x="24" y="464" width="26" height="16" rx="3"/><text class="note" x="60" y="477">as published, or as Windows and open clients do it</text>`)
	line(`<rect class="box ours" x="24" y="492" width="26" height="16" rx="3"/><text class="note" x="60" y="505">not public at Microsoft: our own profile, or your function</text>`)
	for _, path := range arrows() {
		line(`<path class="arrow" d="%s"/>`, path)
	}
	for _, s := range boxes {
		class := "box"
		if s.ours {
			class = "box ours"
		}
		middle := s.x() + boxW/2
		line(`<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, class, s.x(), s.y(), boxW, boxH)
		line(`<text class="step" x="%d" y="%d">%s</text>`, middle, s.y()+20, html.EscapeString(string(s.step)))
		line(`<text x="%d" y="%d">%s</text>`, middle, s.y()+38, html.EscapeString(s.what[0]))
		line(`<text x="%d" y="%d">%s</text>`, middle, s.y()+53, html.EscapeString(s.what[1]))
		line(`<text class="asks" x="%d" y="%d">%s</text>`, middle, s.y()+73, html.EscapeString(s.asks))
	}
	line(`</svg>`)
	return b.String()
}

// arrows returns the paths of the arrows: a step begins when those that lead to it
// are done.
func arrows() []string {
	at := make(map[provision.Step]box, len(boxes))
	for _, s := range boxes {
		at[s.step] = s
	}
	right := func(from, to provision.Step) string {
		a, b := at[from], at[to]
		return fmt.Sprintf("M%d %dH%d", a.x()+boxW, a.y()+boxH/2, b.x()-1)
	}
	down := func(from, to provision.Step) string {
		a, b := at[from], at[to]
		return fmt.Sprintf("M%d %dV%d", a.x()+boxW/2, a.y()+boxH, b.y()-1)
	}
	keys, join := at[provision.StepKeys], at[provision.StepJoin]
	seal, rejoin := at[provision.StepSeal], at[provision.StepRejoin]
	turn := seal.y() + boxH + 70
	return []string{
		down(provision.StepProfile, provision.StepEK),
		right(provision.StepEK, provision.StepAIK),
		right(provision.StepAIK, provision.StepToken),
		down(provision.StepDiscover, provision.StepToken),
		right(provision.StepToken, provision.StepJoin),
		fmt.Sprintf("M%d %dV%d", keys.x()+boxW/2, keys.y(), join.y()+boxH+1),
		right(provision.StepJoin, provision.StepEnroll),
		right(provision.StepEnroll, provision.StepSession),
		right(provision.StepSession, provision.StepSeal),
		fmt.Sprintf("M%d %dV%dH%dV%d", seal.x()+boxW/2, seal.y()+boxH, turn, rejoin.x()+boxW/2, rejoin.y()-1),
		right(provision.StepRejoin, provision.StepSignIn),
		right(provision.StepSignIn, provision.StepOwner),
	}
}
