package corpus

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// partBytes is how long the parts of a plain text are, about.
const partBytes = 1 << 20

// readPlain reads a file as one text, in parts. They are cut between a character and the white space after it: there no
// token of a byte-level tokenizer reaches across, so the tokens of the parts are those of the whole.
func (f File) readPlain(r *bufio.Reader, emit func(Text) error) error {
	var buf []byte
	lines := 0 // before buf
	for {
		room := max(partBytes, len(buf))
		from := len(buf)
		buf = append(buf, make([]byte, room)...)
		n, err := io.ReadFull(r, buf[from:])
		buf = buf[:from+n]
		end := err == io.EOF || err == io.ErrUnexpectedEOF && f.ended(r)
		if err != nil && !end {
			return f.cut(lines+bytes.Count(buf, []byte{'\n'}), err)
		}
		at := len(buf)
		if !end {
			at = safeCut(buf)
		}
		if bad := firstInvalid(buf[:at]); bad < at {
			return f.notUTF8(lines + 1 + bytes.Count(buf[:bad], []byte{'\n'}))
		}
		if end {
			return emit(Text{Text: string(buf)})
		}
		if at == 0 {
			if len(buf) > longest {
				return fmt.Errorf("%s line %d has no white space in %d MiB; is it text?", f.Name(), lines+1, longest>>20)
			}
			continue
		}
		if err := emit(Text{string(buf[:at]), true}); err != nil {
			return err
		}
		lines += bytes.Count(buf[:at], []byte{'\n'})
		buf = append(buf[:0], buf[at:]...)
	}
}

// ended tells the end of a file, of which ReadFull also says "unexpected", from a packed file that was cut short.
func (f File) ended(r *bufio.Reader) bool {
	_, err := r.ReadByte()
	return err == io.EOF
}

// safeCut is the last place in front of white space and after something else, 0 if there is none.
func safeCut(b []byte) int {
	for i := len(b) - 1; i > 0; i-- {
		if c := b[i]; c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			if r, _ := utf8.DecodeLastRune(b[:i]); r != utf8.RuneError && !unicode.IsSpace(r) {
				return i
			}
		}
	}
	return 0
}

// firstInvalid is where the first byte is that no UTF-8 has, the length if there is none.
func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}
