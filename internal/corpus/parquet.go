package corpus

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// readParquet reads one column, page by page; values that are absent are left out.
func (f File) readParquet(file *os.File, emit func(Text) error) (err error) {
	defer func() {
		if p := recover(); p != nil { // as the library does for some damaged files
			err = f.damaged(0, fmt.Errorf("%v", p))
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	p, err := parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<20))
	if err != nil {
		return fmt.Errorf("%s is no whole parquet file: %w; get it again", f.Name(), oneLine(err))
	}
	column, err := f.column(p)
	if err != nil {
		return err
	}
	row := int64(0)
	for _, group := range p.RowGroups() {
		chunks := group.ColumnChunks()
		if column >= len(chunks) {
			return f.damaged(row, errors.New("a row group has too few columns"))
		}
		if err := f.readChunk(chunks[column], &row, emit); err != nil {
			return err
		}
	}
	return nil
}

// column finds the column of the field.
func (f File) column(p *parquet.File) (int, error) {
	var names []string
	for _, path := range p.Schema().Columns() {
		leaf, ok := p.Schema().Lookup(path...)
		if !ok {
			continue
		}
		name := strings.Join(path, ".")
		if name != f.Field {
			names = append(names, name)
			continue
		}
		if kind := leaf.Node.Type().Kind(); kind != parquet.ByteArray || leaf.MaxRepetitionLevel > 0 {
			return 0, fmt.Errorf("%s: its column %q holds no texts, but %s; name another with FILE#FIELD", f.Name(), name, leaf.Node.Type())
		}
		return leaf.ColumnIndex, nil
	}
	return 0, fmt.Errorf("%s has no column %q, it has %s; name one with FILE#FIELD", f.Name(), f.Field, brief(names))
}

func (f File) readChunk(chunk parquet.ColumnChunk, row *int64, emit func(Text) error) error {
	pages := chunk.Pages()
	defer pages.Close()
	values := make([]parquet.Value, 256)
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return f.damaged(*row, err)
		}
		r := page.Values()
		for end := false; !end; {
			n, err := r.ReadValues(values)
			if err != nil && err != io.EOF {
				parquet.Release(page)
				return f.damaged(*row, err)
			}
			for _, v := range values[:n] {
				*row++
				if v.IsNull() {
					continue
				}
				if err := f.emitValue(v.ByteArray(), *row, emit); err != nil {
					parquet.Release(page)
					return err
				}
			}
			end = err == io.EOF
		}
		parquet.Release(page)
	}
}

func (f File) emitValue(b []byte, row int64, emit func(Text) error) error {
	switch {
	case len(b) > longest:
		return fmt.Errorf("%s row %d is longer than %d MiB; cut it", f.Name(), row, longest>>20)
	case !utf8.Valid(b):
		return fmt.Errorf("%s row %d is not UTF-8; write the file again with texts in UTF-8", f.Name(), row)
	}
	return emit(Text{Text: string(b)})
}

// damaged is an error of reading after so many rows.
func (f File) damaged(row int64, err error) error {
	return fmt.Errorf("%s is damaged after row %d: %w; get it again", f.Name(), row, oneLine(err))
}

// oneLine keeps an error of others on one line, and short.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "…"
	}
	return errors.New(text)
}
