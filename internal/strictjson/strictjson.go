// Package strictjson finds what encoding/json passes over, a member that an object has twice, of which it would take the
// last, and says in the words of JSON what it says in those of Go.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/nearest"
)

// Unmarshal is json.Unmarshal that refuses members which occur twice in an object, down to so many objects one in the
// other (1: the outermost alone). Names that differ only in case count as the same, because encoding/json fills the
// same field with both.
func Unmarshal(data []byte, depth int, v any) error {
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil { // not valid
		return err
	}
	p := &parser{data: data}
	if p.value("", depth); p.twice != "" {
		return fmt.Errorf("%s occurs twice", p.twice)
	}
	return InWords(json.Unmarshal(data, v))
}

// Names returns the members of the outermost object as they are spelt, in their order; nothing for other values. The
// data must be valid JSON.
func Names(data []byte) []string {
	p := &parser{data: data}
	if p.space(); p.i < len(data) && data[p.i] == '{' {
		p.each('}', func() { p.names = append(p.names, p.member("", 1)) })
	}
	return p.names
}

// parser walks over valid JSON.
type parser struct {
	data  []byte
	i     int
	twice string // the first member that is there twice
	names []string
}

func (p *parser) space() {
	for p.i < len(p.data) && strings.IndexByte(" \t\r\n", p.data[p.i]) >= 0 {
		p.i++
	}
}

// value walks over one value; depth is how many objects are still checked.
func (p *parser) value(path string, depth int) {
	p.space()
	switch p.data[p.i] {
	case '{':
		var seen map[string]bool
		if depth > 0 {
			seen = map[string]bool{}
		}
		p.each('}', func() {
			name := p.member(path, depth)
			if seen == nil {
				return
			}
			if folded := strings.ToLower(strings.ToUpper(name)); seen[folded] && p.twice == "" {
				p.twice = join(path, name)
			} else {
				seen[folded] = true
			}
		})
	case '[':
		p.each(']', func() { p.value(path, depth) })
	case '"':
		p.text()
	default:
		for p.i < len(p.data) && strings.IndexByte(",]} \t\r\n", p.data[p.i]) < 0 {
			p.i++
		}
	}
}

// each calls f at every element of an object or array and ends behind it.
func (p *parser) each(end byte, f func()) {
	for p.i++; ; p.i++ {
		p.space()
		if p.data[p.i] == end {
			break
		}
		f()
		p.space()
		if p.data[p.i] == end {
			break
		}
	}
	p.i++
}

// member walks over a name and its value, and returns the name.
func (p *parser) member(path string, depth int) string {
	p.space()
	raw := p.text()
	p.space()
	p.i++ // the colon
	name := ""
	if depth > 0 {
		_ = json.Unmarshal(raw, &name)
	}
	p.value(join(path, name), depth-1)
	return name
}

// text walks over a string.
func (p *parser) text() []byte {
	begin := p.i
	for p.i++; p.data[p.i] != '"'; p.i++ {
		if p.data[p.i] == '\\' {
			p.i++
		}
	}
	p.i++
	return p.data[begin:p.i]
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Decode reads one JSON object over the struct that dst points to, and refuses keys that it does not have, with the
// nearest one and all that there are, and values of another type, in words.
func Decode(data []byte, dst any) error {
	keys := Keys(dst)
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	for _, name := range Names(data) {
		if err := Known(name, keys); err != nil {
			return err
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // of objects inside
	return InWords(d.Decode(dst))
}

// InWords is an error of encoding/json without the names of Go: of a value of the wrong type it says what is wanted.
func InWords(err error) error {
	if err == nil {
		return nil
	}
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	case wrong.Field == "":
		return fmt.Errorf("%s where %s is wanted", article(wrong.Value), kind(wrong.Type))
	}
	return fmt.Errorf("%s is %s, wanted is %s", wrong.Field, article(wrong.Value), kind(wrong.Type))
}

// Known says that a name is not among the keys; nil if it is.
func Known(name string, keys []string) error {
	if slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, name) }) { // as encoding/json sees it
		return nil
	}
	return fmt.Errorf("unknown key %q%s; known are %s", name, nearest.DidYouMean(strings.ToLower(name), keys), strings.Join(keys, ", "))
}

// Keys lists the keys of a struct, or of what a pointer to one points to, in alphabetical order.
func Keys(v any) []string {
	var keys []string
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.IsExported() || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return keys
}

// article is a value in the words of encoding/json, such as "number 1.5" or "array".
func article(value string) string {
	switch {
	case value == "array":
		return "a list"
	case value == "object":
		return "an object"
	case value == "bool":
		return "true or false"
	case strings.HasPrefix(value, "number "):
		return strings.TrimPrefix(value, "number ")
	}
	return "a " + value
}

// kind is a type of Go in the words of JSON.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0 up"
	}
	return "a whole number"
}
