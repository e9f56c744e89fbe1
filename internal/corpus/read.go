package corpus

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Text is a text, or a part of one.
type Text struct {
	Text string
	More bool // the next one goes on with this one
}

// longest bounds one JSON line, one text of a column, and how far a plain text may go without a space.
const longest = 64 << 20

// errStop says that no more texts are wanted.
var errStop = errors.New("stop")

// Texts yields all texts in order. The texts without a character are among them. An error ends them; it names the file
// and the line or row.
func (c *Corpus) Texts(ctx context.Context) iter.Seq2[Text, error] {
	return func(yield func(Text, error) bool) {
		for _, f := range c.Files {
			err := f.read(func(t Text) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				if !yield(t, nil) {
					return errStop
				}
				return nil
			})
			if err == errStop {
				return
			}
			if err != nil {
				yield(Text{}, fmt.Errorf("corpus: %w", err))
				return
			}
		}
	}
}

func (f File) read(emit func(Text) error) error {
	file, err := os.Open(f.Path)
	if err != nil {
		return fmt.Errorf("%w; check the path", err)
	}
	defer file.Close()
	if f.format() == "parquet" {
		return f.readParquet(file, emit)
	}
	r, err := unpacked(f, file)
	if err != nil {
		return err
	}
	defer r.Close()
	text := bufio.NewReaderSize(r, 1<<20)
	if err := f.sniff(text); err != nil {
		return err
	}
	if f.format() == "jsonl" {
		return f.readLines(text, emit)
	}
	return f.readPlain(text, emit)
}

// unpacked undoes gzip or zstd, as the name says.
func unpacked(f File, file io.Reader) (io.ReadCloser, error) {
	name := strings.ToLower(f.Path)
	switch {
	case strings.HasSuffix(name, ".gz"):
		z, err := gzip.NewReader(bufio.NewReaderSize(file, 1<<20))
		if err != nil {
			return nil, fmt.Errorf("%s is not gzip: %w; unpack it or fix its name", f.Name(), err)
		}
		return z, nil
	case strings.HasSuffix(name, ".zst"):
		z, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, fmt.Errorf("%s is not zstd: %w; unpack it or fix its name", f.Name(), err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(file), nil
}

// sniff drops the mark that some editors put in front of UTF-8, and refuses what is known to be something else.
func (f File) sniff(r *bufio.Reader) error {
	head, err := r.Peek(4)
	if err != nil && err != io.EOF {
		return f.cut(0, err)
	}
	is := func(magic string) bool { return strings.HasPrefix(string(head), magic) }
	switch {
	case is("\xEF\xBB\xBF"):
		_, err := r.Discard(3)
		return err
	case is("\xFF\xFE"), is("\xFE\xFF"):
		return fmt.Errorf("%s line 1 is not UTF-8: it looks like UTF-16; convert it, as with iconv -f UTF-16 -t UTF-8", f.Name())
	case is("\x1F\x8B"):
		return fmt.Errorf("%s is packed with gzip; end its name in .gz", f.Name())
	case is("\x28\xB5\x2F\xFD"):
		return fmt.Errorf("%s is packed with zstd; end its name in .zst", f.Name())
	case is("PAR1"):
		return fmt.Errorf("%s is parquet; end its name in .parquet", f.Name())
	}
	return nil
}

// cut is an error of reading after so many lines.
func (f File) cut(lines int, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s ends in the middle, after line %d: %w; it was cut short, get it again", f.Name(), lines, err)
	}
	return fmt.Errorf("%s after line %d: %w; the file may be damaged, get it again", f.Name(), lines, err)
}

// notUTF8 is the error of a line that is no text.
func (f File) notUTF8(line int) error {
	return fmt.Errorf("%s line %d is not UTF-8; convert the file, as with iconv -f LATIN1 -t UTF-8, or mend the line", f.Name(), line)
}
