package notebook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// Bytes is the notebook in normal form.
func (n *Notebook) Bytes() []byte {
	for _, cell := range n.cells {
		cell["source"] = lines(cell["source"])
		for _, o := range outputs(cell) {
			if o["output_type"] == "stream" {
				o["text"] = lines(o["text"])
			}
			data, _ := o["data"].(map[string]any)
			for mime, v := range data {
				if _, isText := v.(string); isText || isLines(v) {
					if strings.HasPrefix(mime, "text/") || mime == "application/javascript" || mime == "image/svg+xml" {
						data[mime] = lines(v)
					}
				}
			}
		}
	}
	var b bytes.Buffer
	write(&b, n.root, 1)
	b.WriteByte('\n')
	return b.Bytes()
}

func isLines(v any) bool {
	list, ok := v.([]any)
	return ok && !slices.ContainsFunc(list, func(x any) bool { _, s := x.(string); return !s })
}

// lines cuts a text where Python's splitlines does.
func lines(v any) []any {
	s := text(v)
	out := []any{}
	for len(s) > 0 {
		end := len(s)
		for i, r := range s {
			if !breaks(r) {
				continue
			}
			end = i + utf8.RuneLen(r)
			if r == '\r' && strings.HasPrefix(s[end:], "\n") {
				end++
			}
			break
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}

func breaks(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

// write writes a value with sorted keys and one space a level.
func write(b *bytes.Buffer, v any, depth int) {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for k := range v {
			names = append(names, k)
		}
		sort.Strings(names)
		block(b, '{', '}', len(names), depth, func(i int) {
			quote(b, names[i])
			b.WriteString(": ")
			write(b, v[names[i]], depth+1)
		})
	case []any:
		block(b, '[', ']', len(v), depth, func(i int) { write(b, v[i], depth+1) })
	case string:
		quote(b, v)
	case json.Number:
		b.WriteString(v.String())
	case bool:
		fmt.Fprint(b, v)
	default:
		b.WriteString("null")
	}
}

func block(b *bytes.Buffer, open, end byte, n, depth int, item func(i int)) {
	b.WriteByte(open)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.WriteString(strings.Repeat(" ", depth))
		item(i)
	}
	if n > 0 {
		b.WriteByte('\n')
		b.WriteString(strings.Repeat(" ", depth-1))
	}
	b.WriteByte(end)
}

// quote writes a string as Python's json does with ensure_ascii off.
func quote(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r < 0x20:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
