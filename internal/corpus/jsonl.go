package corpus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// readLines reads one JSON object a line.
func (f File) readLines(r *bufio.Reader, emit func(Text) error) error {
	path := strings.Split(f.Field, ".")
	for number := 1; ; number++ {
		line, err := readLine(r)
		if err != nil && err != io.EOF {
			if errors.Is(err, errLong) {
				return fmt.Errorf("%s line %d is longer than %d MiB; cut it", f.Name(), number, longest>>20)
			}
			return f.cut(number-1, err)
		}
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 {
			text, err := f.field(trimmed, path, number)
			if err != nil {
				return err
			}
			if err := emit(Text{Text: text}); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

var errLong = errors.New("the line is too long")

// readLine returns a line, with io.EOF for the last.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > longest {
			return nil, errLong
		}
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// field takes the text out of a line.
func (f File) field(line []byte, path []string, number int) (string, error) {
	where := fmt.Sprintf("%s line %d", f.Name(), number)
	if !utf8.Valid(line) {
		return "", f.notUTF8(number)
	}
	if line[0] == '[' && number == 1 {
		return "", fmt.Errorf("%s begins a JSON array; write one object a line, as with jq -c '.[]'", where)
	}
	raw := json.RawMessage(line)
	for i, name := range path {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil || object == nil {
			return "", fmt.Errorf("%s is no JSON object with %s; fix or remove the line", where, fieldName(path[:i+1]))
		}
		next, ok := object[name]
		if !ok {
			return "", fmt.Errorf("%s has no %s, it has %s; name one with FILE#FIELD", where, fieldName(path[:i+1]), brief(slices.Sorted(maps.Keys(object))))
		}
		raw = next
	}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil || text == nil {
		return "", fmt.Errorf("%s: its %s is no text; fix or remove the line, or name another with FILE#FIELD", where, fieldName(path))
	}
	return *text, nil
}

func fieldName(path []string) string { return fmt.Sprintf("field %q", strings.Join(path, ".")) }
