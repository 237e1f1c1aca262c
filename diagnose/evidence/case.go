package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whiteglove/whiteglove/internal/plain"
)

// Limits that a Case has by default, and others that are fixed.
const (
	defaultMaxBytes = 1 << 30
	defaultMaxFiles = 10_000
	maxNesting      = 3         // archives within archives
	maxInMemory     = 128 << 20 // of a stream that must be read at once, such as an archive in an archive
	maxRatio        = 200       // of unpacked bytes to packed ones, beyond the first megabytes
	maxFactBytes    = 48 << 20  // of what a case keeps
	maxSameEvent    = 3000      // events of one number that a case keeps
	maxSourceErrors = 20
)

// ErrLimit is wrapped by an [*Error], and named in [Source.Problems], where a Case
// stopped reading at one of its limits.
var ErrLimit = errors.New("the evidence is larger than the limit")

// An Error is the failure to read a file that a caller named. It wraps [ErrLimit], the
// error of ctx, or that of the file system or the reader, such as fs.ErrNotExist.
type Error struct {
	Name string // the file's name as given
	Err  error
}

// Error returns e in one line.
func (e *Error) Error() string { return fmt.Sprintf("evidence: %s: %s", e.Name, plain.Text(e.Err)) }

// Unwrap returns the error that e wraps.
func (e *Error) Unwrap() error { return e.Err }

// A Case collects evidence about one device. The zero value is ready. It is not safe
// for concurrent use.
type Case struct {
	// MaxBytes is how many bytes are read, those unpacked from archives included.
	// 0 means 1 GiB.
	MaxBytes int64

	// MaxFiles is how many files are read. 0 means 10,000.
	MaxFiles int

	// Personal keeps names, serial numbers, tokens, hashes, addresses and tenants in
	// the report, which are replaced by words such as "<user>" if it is false.
	Personal bool

	sources []*Source
	facts   []fact
	bytes   int64
	kept    int            // bytes of facts
	events  map[string]int // how many of each number
	left    int            // facts that were left out
	private privacy
	hashes  []hashFact
}

// A Source is a file that was read, or one that was not and why.
type Source struct {
	// Name is the path of the file; within an archive that of the archive, "!" and
	// the name there.
	Name string `json:"file"`

	// Kind is what the file was taken for, such as "event log", "registry",
	// "certreq", "text" or "unread".
	Kind string `json:"kind"`

	// Records counts events, registry values or lines.
	Records int `json:"records"`

	// Known tells whether the file is evidence: it has records in one of the formats, or, as
	// a text or a log, a line with a code, a time, an event or words that a rule looks for.
	Known bool `json:"known"`

	// Problems say what is damaged or was left out, at most 20.
	Problems []string `json:"problems,omitempty"`
}

// readers say what the readers of formats cannot read, in place of their names.
var readers = map[string]string{"cab: ": "the cabinet cannot be read: ", "evtx: ": "the event log cannot be read: "}

// problem notes what is wrong with the file, in plain words.
func (s *Source) problem(err error) {
	if err != nil && len(s.Problems) < maxSourceErrors {
		text := plain.Text(err)
		for name, what := range readers {
			if rest, ok := strings.CutPrefix(text, name); ok {
				text = what + rest
			}
		}
		s.Problems = append(s.Problems, printable(text))
	}
}

// AddPath reads a file, or all files of a folder and its folders. Links within a
// folder are not followed. The error is an [*Error] about path itself: it wraps the
// error of the file system, [ErrLimit], or the error of ctx. What is wrong with the
// contents, or with other files of the folder, is in the report.
func (c *Case) AddPath(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return &Error{path, err}
	}
	if !info.IsDir() {
		if err := c.addFile(ctx, path); err != nil {
			return &Error{path, err}
		}
		return nil
	}
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && name == path:
			return err
		case err != nil:
			c.unread(name, err)
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		err = c.addFile(ctx, name)
		if err != nil && !errors.Is(err, ErrLimit) && ctx.Err() == nil {
			c.unread(name, err)
			return nil
		}
		return err
	})
	if err != nil {
		return &Error{path, err}
	}
	return nil
}

// addFile reads a file of the file system.
func (c *Case) addFile(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		return c.addSeekable(ctx, path, f, info.Size(), 0)
	}
	return c.addStream(ctx, path, f, 0)
}

// Add reads a stream, such as standard input or the text of a screen. Its name is for
// the report. The error is an [*Error]: it wraps the error of r, [ErrLimit], or the
// error of ctx. What is wrong with the contents is in the report.
func (c *Case) Add(ctx context.Context, name string, r io.Reader) error {
	if err := c.addStream(ctx, name, r, 0); err != nil {
		return &Error{name, err}
	}
	return nil
}

// addStream reads a stream of any kind.
func (c *Case) addStream(ctx context.Context, name string, r io.Reader, nesting int) error {
	head := make([]byte, sniffLength)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF && n == 0 {
		return err
	}
	rest := io.MultiReader(bytes.NewReader(head), r)
	if !isArchive(head) {
		return c.readFile(ctx, name, head, rest)
	}
	all, err := io.ReadAll(io.LimitReader(c.budget(ctx, rest), maxInMemory+1))
	switch {
	case len(all) > maxInMemory:
		c.unread(name, ErrLimit)
		return nil
	case err != nil && len(all) == 0:
		return err
	}
	if err := c.addSeekable(ctx, name, bytes.NewReader(all), int64(len(all)), nesting); err != nil {
		return err
	}
	return err
}

// seekable is a file of known size.
type seekable interface {
	io.Reader
	io.ReaderAt
}

func (c *Case) addSeekable(ctx context.Context, name string, f seekable, size int64, nesting int) error {
	head := make([]byte, min(size, sniffLength))
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	switch {
	case isZIP(head), isCab(head):
		if nesting >= maxNesting {
			c.unread(name, fmt.Errorf("archives are nested too deeply: %w", ErrLimit))
			return nil
		}
		if isZIP(head) {
			return c.addZIP(ctx, name, f, size, nesting)
		}
		return c.addCab(ctx, name, f, size, nesting)
	}
	return c.readFile(ctx, name, head, f)
}

// source appends a source. It fails if there are too many.
func (c *Case) source(name, kind string) (*Source, error) {
	limit := c.MaxFiles
	if limit == 0 {
		limit = defaultMaxFiles
	}
	if len(c.sources) >= limit {
		return nil, fmt.Errorf("more than %d files: %w", limit, ErrLimit)
	}
	s := &Source{Name: printable(name), Kind: kind}
	c.sources = append(c.sources, s)
	return s, nil
}

// unread notes a file that is not read.
func (c *Case) unread(name string, err error) {
	if s, full := c.source(name, kindUnread); full == nil {
		s.problem(err)
	}
}

// budget returns a reader that takes what is read from the bytes of the case.
func (c *Case) budget(ctx context.Context, r io.Reader) io.Reader {
	return &budgetReader{ctx: ctx, c: c, r: r}
}

type budgetReader struct {
	ctx context.Context
	c   *Case
	r   io.Reader
}

// Read fails with ErrLimit or the error of the context.
func (b *budgetReader) Read(p []byte) (int, error) {
	limit := b.c.MaxBytes
	if limit == 0 {
		limit = defaultMaxBytes
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	left := limit - b.c.bytes
	if left <= 0 {
		if n, err := b.r.Read(make([]byte, 1)); n == 0 && err == io.EOF {
			return 0, io.EOF
		}
		return 0, ErrLimit
	}
	n, err := b.r.Read(p[:min(int64(len(p)), left)])
	b.c.bytes += int64(n)
	return n, err
}

// A Report is what a case shows.
type Report struct {
	// Sources are the files, in the order in which they were read. No list of a
	// report is nil.
	Sources []Source `json:"sources"`

	// Findings are what failed, the first cause first.
	Findings []Finding `json:"findings"`

	// Timeline has what happened, in order of time.
	Timeline []Entry `json:"timeline"`
}

// Report judges what was added so far. The caller owns the result.
func (c *Case) Report() *Report {
	facts := c.ordered()
	r := &Report{Sources: []Source{}, Findings: judge(facts), Timeline: timeline(facts)}
	for _, s := range c.sources {
		source := *s
		source.Problems = slices.Clone(s.Problems)
		r.Sources = append(r.Sources, source)
	}
	if n := len(r.Sources); n > 0 && c.left > 0 {
		last := &r.Sources[n-1]
		last.Problems = append(last.Problems, fmt.Sprintf("%d records of all files were too many to keep", c.left))
	}
	if !c.Personal {
		c.private.report(r)
	}
	return r
}

// ordered returns the facts in order of time. Those without a time come first, in the
// order in which they were read.
func (c *Case) ordered() []fact {
	facts := append(slices.Clone(c.facts), c.compareHashes()...)
	slices.SortStableFunc(facts, func(a, b fact) int { return a.time.Compare(b.time) })
	return facts
}
