package evidence

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/whiteglove/whiteglove/internal/cab"
	"github.com/whiteglove/whiteglove/internal/plain"
)

func isZIP(head []byte) bool {
	return strings.HasPrefix(string(head), "PK\x03\x04") || strings.HasPrefix(string(head), "PK\x05\x06")
}

func isCab(head []byte) bool { return strings.HasPrefix(string(head), "MSCF") }

func isArchive(head []byte) bool { return isZIP(head) || isCab(head) }

// member returns the name of a file in an archive. It is a label; that it stays below
// the archive's name is for the reader's eye.
func member(archive, name string) string {
	return archive + "!" + strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/")
}

// addZIP reads the files of a ZIP archive.
func (c *Case) addZIP(ctx context.Context, name string, f io.ReaderAt, size int64, nesting int) error {
	s, err := c.source(name, kindZIP)
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		s.problem(plain.Because(err, "the ZIP archive is damaged or cut off"))
		return ctx.Err()
	}
	for _, file := range z.File {
		if file.FileInfo().IsDir() {
			continue
		}
		s.Records++
		r, err := file.Open()
		if err != nil {
			c.unread(member(name, file.Name), damaged(err))
			continue
		}
		if file.Flags&encrypted != 0 {
			r.Close()
			c.unread(member(name, file.Name), errors.New("it is encrypted"))
			continue
		}
		err = c.addMember(ctx, member(name, file.Name), &ratioReader{r: zipMember{r}, packed: int64(file.CompressedSize64)}, nesting)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// encrypted is the flag of a file in a ZIP archive that takes a password (APPNOTE, section
// 4.4.4).
const encrypted = 1

// damaged returns what unpacking a file says, in plain words.
func damaged(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.As(err, &corrupt), errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF):
		return plain.Because(err, "it is damaged")
	case errors.Is(err, zip.ErrAlgorithm):
		return plain.Because(err, "it is packed in a way that is not known")
	}
	return err
}

// A zipMember is a file in a ZIP archive.
type zipMember struct{ r io.Reader }

// Read reads what was unpacked.
func (m zipMember) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	return n, damaged(err)
}

// addCab reads the files of a cabinet.
func (c *Case) addCab(ctx context.Context, name string, f io.ReaderAt, size int64, nesting int) error {
	s, err := c.source(name, kindCab)
	if err != nil {
		return err
	}
	r, err := cab.NewReader(f, size)
	if err != nil {
		s.problem(err)
		return ctx.Err()
	}
	shared := &ratioReader{packed: size}
	return r.Each(func(file *cab.File, data io.Reader) error {
		s.Records++
		shared.r = data
		return c.addMember(ctx, member(name, file.Name), shared, nesting)
	})
}

// addMember reads a file of an archive. It fails only at a limit of the case or the
// end of ctx; a damaged file is noted.
func (c *Case) addMember(ctx context.Context, name string, r io.Reader, nesting int) error {
	err := c.addStream(ctx, name, r, nesting+1)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrLimit) {
		c.unread(name, err)
		return nil
	}
	return err
}

// A ratioReader fails if an archive unpacks to much more than it has.
type ratioReader struct {
	r        io.Reader
	packed   int64
	unpacked int64
}

// Read reads what was unpacked.
func (z *ratioReader) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	z.unpacked += int64(n)
	if z.unpacked > 16<<20 && z.unpacked/maxRatio > z.packed {
		return n, fmt.Errorf("it unpacks to more than %d times its size", maxRatio)
	}
	return n, err
}
