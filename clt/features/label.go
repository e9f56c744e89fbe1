package features

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
)

const longestLabel = 200 // bytes

// labels is labels.json: names that people gave, of one transcoder.
type labels struct {
	CLT   string            `json:"clt_sha256"`
	Names map[string]string `json:"labels"` // "L3/F128" -> name
}

// readLabels is nothing where there is no file, and an error where they belong to
// another transcoder.
func readLabels(fsys fs.FS, cltHash string) (map[string]string, error) {
	data, err := fs.ReadFile(fsys, labelsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("features: labels: %w", err)
	}
	var l labels
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("features: %s: %w; mend or remove it", labelsFile, err)
	}
	if l.CLT != "" && cltHash != "" && l.CLT != cltHash {
		return nil, fmt.Errorf("features: %s is of another transcoder (%s, this is %s); move it away", labelsFile, short(l.CLT), short(cltHash))
	}
	if l.Names == nil {
		l.Names = map[string]string{}
	}
	return l.Names, nil
}

// SetLabel names a feature, or takes its name away if the text is empty. The name
// stands in the store's folder and outlives a rebuild.
func (s *Store) SetLabel(f clt.Feature, text string) error {
	if err := s.check(f); err != nil {
		return err
	}
	if s.dir == "" {
		return fmt.Errorf("features: this store cannot be written to; build one in a folder")
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longestLabel || !utf8.ValidString(text) {
		return fmt.Errorf("features: a label of %d bytes; give at most %d of valid text", len(text), longestLabel)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	names, err := readLabels(s.fsys, s.Manifest.Origin.CLT.SHA256) // another program may have written
	if err != nil {
		return err
	}
	if text == "" {
		delete(names, f.String())
	} else {
		names[f.String()] = text
	}
	data, err := json.MarshalIndent(labels{s.Manifest.Origin.CLT.SHA256, names}, "", " ")
	if err != nil {
		return fmt.Errorf("features: labels: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(s.dir, labelsFile), append(data, '\n')); err != nil {
		return err
	}
	s.names = names
	return nil
}

// counted is a token with the number of examples that have it at their peak.
type counted struct {
	ID int32 `json:"id"`
	N  int   `json:"n"`
}

// peaks are the tokens at the peaks of examples, the most frequent first; repeated
// texts count once.
func peaks(list []example) []counted {
	n := map[int32]int{}
	var order []counted
	for _, e := range list {
		id := e.ids[e.peak]
		if n[id] == 0 {
			order = append(order, counted{ID: id})
		}
		n[id]++
	}
	for i := range order {
		order[i].N = n[order[i].ID]
	}
	slices.SortStableFunc(order, func(a, b counted) int { return cmp.Compare(b.N, a.N) })
	return order
}

// guess is a short label from the peaks of the top examples and from the logits: the
// tokens on which the feature is active where few of them make up most of the
// examples, and in the upper half of the layers what it raises.
func guess(layer, layers, examples int, in []string, inCounts []int, out []string) string {
	if examples == 0 {
		return ""
	}
	covered, words := 0, []string{}
	for i, w := range in {
		if len(words) == 3 {
			break
		}
		covered += inCounts[i]
		words = append(words, word(w))
	}
	text := ""
	if 2*covered >= examples {
		text = strings.Join(words, ", ")
	}
	if 2*layer >= layers || text == "" {
		said := []string{}
		for _, w := range out[:min(2, len(out))] {
			said = append(said, word(w))
		}
		if len(said) > 0 {
			text = strings.TrimSpace(text + " → " + strings.Join(said, ", "))
		}
	}
	return text
}

// word is a token inside a label.
func word(token string) string {
	t := strings.TrimSpace(token)
	switch {
	case t == "" && strings.Contains(token, "\n"):
		return "newline"
	case t == "":
		return "space"
	case !strings.ContainsFunc(t, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		t = "‘" + t + "’" // a comma among commas
	}
	if r := []rune(t); len(r) > 24 {
		return string(r[:24]) + "…"
	}
	return t
}
