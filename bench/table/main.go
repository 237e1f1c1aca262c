// Table runs the benchmarks of package bench and prints docs/performance.md: each figure of
// ours, that of the others, and the ratio. With -from it reads the output of "go test" from
// a file instead of running it.
//
//	go run ./table >../docs/performance.md
//
// It must run in the folder of package bench.
package main

import (
	"bytes"
	_ "embed" // for performance.md
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/template"
)

//go:embed performance.md
var page string

func main() {
	from := flag.String("from", "", "read the output of go test from `FILE` instead of running it")
	count := flag.Int("count", 5, "run each benchmark `N` times, and take the median")
	flag.Parse()
	if err := run(*from, *count); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

// run prints the page.
func run(from string, count int) error {
	var text []byte
	var err error
	if from != "" {
		text, err = os.ReadFile(from)
	} else {
		args := []string{"test", "-run", "^$", "-bench", ".", "-benchtime", "20x", fmt.Sprint("-count=", count)}
		cmd := exec.Command("go", args...)
		cmd.Stderr = os.Stderr
		text, err = cmd.Output()
	}
	if err != nil {
		return err
	}
	out, err := render(page, parse(string(text)), runtime.Version()+" "+runtime.GOOS+" "+runtime.GOARCH)
	if err == nil {
		_, err = os.Stdout.Write(out)
	}
	return err
}

// render returns the page with the figures.
func render(page string, f *figures, system string) ([]byte, error) {
	t, err := template.New("page").Parse(page)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"System": strings.TrimSpace(system + ", " + f.cpu), "Table": f.table()})
	return b.Bytes(), err
}
