// Package strictjson finds what encoding/json passes over: a member that an object has twice, of which it would take the
// last.
package strictjson

import (
	"encoding/json"
	"fmt"
	"strings"
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
	return json.Unmarshal(data, v)
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
