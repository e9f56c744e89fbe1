package clt

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// flatYAML is the part of YAML that transcoder configs use: top-level keys with
// a scalar or a list of scalars.
type flatYAML struct {
	scalars map[string]string
	lists   map[string][]string
}

// parseYAML reads flat YAML. Nesting other than a list of scalars is an error
// that names the line.
func parseYAML(text string) (flatYAML, error) {
	y := flatYAML{map[string]string{}, map[string][]string{}}
	list := ""
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		trimmed := strings.TrimSpace(stripComment(line))
		if trimmed == "" || trimmed == "---" {
			continue
		}
		if item, ok := strings.CutPrefix(trimmed, "-"); ok && list != "" {
			v, err := yamlScalar(strings.TrimSpace(item))
			if err != nil {
				return y, fmt.Errorf("line %d: %w", i+1, err)
			}
			y.lists[list] = append(y.lists[list], v)
			continue
		}
		key, value, ok := strings.Cut(trimmed, ":")
		if !ok || line[0] == ' ' || line[0] == '\t' || key == "" {
			return y, fmt.Errorf("line %d: %q is not \"key: value\" nor an item of a list", i+1, trimmed)
		}
		if _, twice := y.scalars[key]; twice || y.lists[key] != nil {
			return y, fmt.Errorf("line %d: key %q appears twice", i+1, key)
		}
		if value = strings.TrimSpace(value); value == "" {
			list = key
			y.lists[key] = []string{}
			continue
		}
		list = ""
		v, err := yamlScalar(value)
		if err != nil {
			return y, fmt.Errorf("line %d: %w", i+1, err)
		}
		y.scalars[key] = v
	}
	return y, nil
}

func stripComment(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return ""
	}
	if i := strings.Index(line, " #"); i >= 0 && !strings.ContainsAny(line, `"'`) {
		return line[:i]
	}
	return line
}

func yamlScalar(s string) (string, error) {
	switch {
	case s == "null" || s == "~":
		return "", nil
	case strings.HasPrefix(s, `"`):
		v, err := strconv.Unquote(s)
		if err != nil {
			return "", fmt.Errorf("bad quoted text %s", s)
		}
		return v, nil
	case strings.HasPrefix(s, "'"):
		if len(s) < 2 || !strings.HasSuffix(s, "'") {
			return "", fmt.Errorf("bad quoted text %s", s)
		}
		return strings.ReplaceAll(s[1:len(s)-1], "''", "'"), nil
	case strings.ContainsAny(s[:1], "{[&*!|>%@`"):
		return "", fmt.Errorf("%q: only plain values and lists are understood", s)
	}
	return s, nil
}

// format writes the scalars in the order of keys, then the lists by name.
func (y flatYAML) format(keys []string) string {
	var b strings.Builder
	for _, k := range keys {
		if v := y.scalars[k]; v != "" {
			fmt.Fprintf(&b, "%s: %s\n", k, yamlQuote(v))
		}
	}
	names := make([]string, 0, len(y.lists))
	for k := range y.lists {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		fmt.Fprintf(&b, "%s:\n", k)
		for _, v := range y.lists[k] {
			fmt.Fprintf(&b, "- %s\n", yamlQuote(v))
		}
	}
	return b.String()
}

// yamlQuote leaves plain words as they are and quotes the rest.
func yamlQuote(s string) string {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/", r)) {
			return strconv.Quote(s)
		}
	}
	if strings.HasPrefix(s, "-") || s == "null" {
		return strconv.Quote(s)
	}
	return s
}
