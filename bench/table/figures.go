package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// figures are the results of benchmarks.
type figures struct {
	cpu   string
	order []string                // names of what is measured, such as "Verify/key=rsa"
	by    map[string][]string     // whose code was measured, ours first
	units map[string][]string     // of what is measured, in the order of the output
	of    map[[3]string][]float64 // by name, whose code and unit: one of each run
}

// ours is how our code is called.
const ours = "whiteglove"

// parse reads the output of go test. It leaves out lines that it does not know.
func parse(text string) *figures {
	f := &figures{by: make(map[string][]string), units: make(map[string][]string), of: make(map[[3]string][]float64)}
	for line := range strings.Lines(text) {
		if cpu, ok := strings.CutPrefix(line, "cpu: "); ok {
			f.cpu = strings.TrimSpace(cpu)
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, by, ok := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "/by=")
		if !ok {
			continue
		}
		if i := strings.LastIndex(by, "-"); i > 0 {
			if _, err := strconv.Atoi(by[i+1:]); err == nil { // the number of processors
				by = by[:i]
			}
		}
		f.add(name, by, fields[2:])
	}
	return f
}

// add adds the figures of a line, each with its unit after it.
func (f *figures) add(name, by string, fields []string) {
	if !slices.Contains(f.order, name) {
		f.order = append(f.order, name)
	}
	if !slices.Contains(f.by[name], by) {
		f.by[name] = append(f.by[name], by)
	}
	for pair := range slices.Chunk(fields, 2) {
		if len(pair) < 2 {
			return
		}
		value, err := strconv.ParseFloat(pair[0], 64)
		if err != nil {
			return
		}
		unit := pair[1]
		if !slices.Contains(f.units[name], unit) {
			f.units[name] = append(f.units[name], unit)
		}
		k := [3]string{name, by, unit}
		f.of[k] = append(f.of[k], value)
	}
}

// figure returns the median of a count or the shortest of times, which on a busy machine is
// the one that says most. It reports whether there is one.
func (f *figures) figure(name, by, unit string) (float64, bool) {
	all := slices.Sorted(slices.Values(f.of[[3]string{name, by, unit}]))
	if len(all) == 0 {
		return 0, false
	}
	if unit == "ns/op" {
		return all[0], true
	}
	return all[len(all)/2], true
}

// table returns a table in Markdown. Ratios are those of the other to ours: above 1, ours is
// less.
func (f *figures) table() string {
	var b strings.Builder
	b.WriteString("| what | unit | whiteglove | other | | ratio |\n|---|---|---|---|---|---|\n")
	for _, name := range f.order {
		for _, unit := range f.units[name] {
			own, ok := f.figure(name, ours, unit)
			if !ok || unit == "ns/op" && slices.Contains(f.units[name], "commands/op") {
				continue // an emulator's time says nothing of a TPM's
			}
			for _, by := range f.by[name] {
				if other, ok := f.figure(name, by, unit); ok && by != ours {
					fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", name, shown(unit), number(own/scale(unit)), number(other/scale(unit)), by, ratio(other, own))
				}
			}
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// shown returns a unit as the table has it. Times are in microseconds there.
func shown(unit string) string {
	if unit == "ns/op" {
		return "µs"
	}
	return strings.TrimSuffix(unit, "/op")
}

// scale returns how many of a unit are one in the table.
func scale(unit string) float64 {
	if unit == "ns/op" {
		return 1000
	}
	return 1
}

// number returns a figure with three digits or more.
func number(v float64) string {
	if v == float64(int64(v)) || v >= 100 {
		return strconv.FormatInt(int64(v+0.5), 10)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func ratio(other, own float64) string {
	if own == 0 {
		return "–"
	}
	return strconv.FormatFloat(other/own, 'f', 2, 64)
}
