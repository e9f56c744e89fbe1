package features

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// searchRow is what a search needs of one feature.
type searchRow struct {
	Active   int       `json:"a"`
	Max      float64   `json:"m"`
	Examples int       `json:"e"`           // different top examples
	Peaks    []counted `json:"p,omitempty"` // tokens of these
	Top      []int32   `json:"t"`           // logits raised
	Bottom   []int32   `json:"b"`
}

const rowPeaks, rowLogits = 8, 5

func (w *storeWriter) searchRow(l, f int, k *block, e effect) searchRow {
	ids := func(list []scored) []int32 {
		out := []int32{}
		for _, s := range list[:min(rowLogits, len(list))] {
			out = append(out, s.id)
		}
		return out
	}
	r := searchRow{Top: ids(e.top), Bottom: ids(e.bottom)}
	if k != nil {
		p := peaks(k.top)
		r.Active, r.Max, r.Examples, r.Peaks = int(k.count), exact(k.max), len(k.top), p[:min(rowPeaks, len(p))]
	}
	return r
}

// Hit is one feature that a search found.
type Hit struct {
	clt.Feature
	Label   string   `json:"label,omitempty"`
	Guess   bool     `json:"guess,omitempty"`
	Active  int      `json:"active"`
	Density float64  `json:"density"`
	Max     float64  `json:"max"`
	Tokens  []string `json:"tokens"` // of its top examples, the most frequent first
	Logits  []string `json:"logits"` // raised most
	Score   float64  `json:"score"`
	Why     string   `json:"why,omitempty"`
}

// Search finds features by what people called them, by the tokens on which they are
// active, and by the logits that they raise or lower; "token:", "logit:" and "label:"
// in front of the text look at one of these alone, "dead" lists the dead features. An
// exact token counts more than a part of one, and upper and lower case are the same.
// The empty text lists all, the densest first. n is how many to give, 0 for all; total
// is how many there are.
//
// The score is the sum of: 3 for a label (2 for a part of one), the share of the top
// examples with the token at their peak times 2, and 1/rank of the logit.
func (s *Store) Search(text string, n int) (hits []Hit, total int, err error) {
	rows, err := s.rows()
	if err != nil {
		return nil, 0, err
	}
	field, word := "", strings.TrimSpace(text)
	for _, f := range []string{"token", "logit", "label"} {
		if rest, ok := strings.CutPrefix(word, f+":"); ok {
			field, word = f, strings.TrimSpace(rest)
		}
	}
	word = strings.ToLower(word)
	type found struct {
		i     int
		score float64
		why   string
	}
	var list []found
	match := s.matcher(word)
	names := s.labelNames()
	for i, r := range rows {
		f := clt.Feature{Layer: i / s.Manifest.Features, Index: i % s.Manifest.Features}
		switch {
		case word == "dead" && field == "":
			if r.Active == 0 {
				list = append(list, found{i: i})
			}
		case word == "":
			list = append(list, found{i: i, score: float64(r.Active)})
		default:
			if score, why := s.score(r, names[f.String()], field, word, match); score > 0 {
				list = append(list, found{i, score, why})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b found) int { return cmp.Compare(b.score, a.score) })
	total = len(list)
	if n > 0 {
		list = list[:min(n, len(list))]
	}
	for _, x := range list {
		h := s.hit(rows, x.i, names)
		h.Why = x.why
		if word != "" {
			h.Score = round(x.score)
		}
		hits = append(hits, h)
	}
	return hits, total, nil
}

// matcher says for a token how well it fits: 1 exactly, less for a part.
func (s *Store) matcher(word string) func(id int32) float64 {
	known := map[int32]float64{}
	return func(id int32) float64 {
		if v, ok := known[id]; ok {
			return v
		}
		token, v := strings.ToLower(strings.TrimSpace(s.token(id))), 0.0
		switch {
		case token == "" || word == "":
		case token == word:
			v = 1
		case len(word) > 1 && strings.HasPrefix(token, word):
			v = 0.5
		case len(word) > 2 && strings.Contains(token, word):
			v = 0.25
		}
		known[id] = v
		return v
	}
}

func (s *Store) score(r searchRow, label, field, word string, match func(int32) float64) (score float64, why string) {
	var reasons []string
	if lower := strings.ToLower(label); field != "token" && field != "logit" && label != "" && strings.Contains(lower, word) {
		score += 2
		if lower == word {
			score++
		}
		reasons = append(reasons, "label")
	}
	if field == "" || field == "token" {
		share, n := 0.0, 0
		for _, p := range r.Peaks {
			if m := match(p.ID); m > 0 {
				share += m * float64(p.N) / float64(r.Examples)
				n += p.N
			}
		}
		if share > 0 {
			score += 2 * share
			reasons = append(reasons, fmt.Sprintf("token in %d of %d examples", n, r.Examples))
		}
	}
	if field == "" || field == "logit" {
		for _, l := range []struct {
			ids  []int32
			what string
			by   float64
		}{{r.Top, "raises", 1}, {r.Bottom, "lowers", 0.5}} {
			for rank, id := range l.ids {
				if m := match(id); m > 0 {
					score += l.by * m / float64(rank+1)
					reasons = append(reasons, fmt.Sprintf("%s it, rank %d", l.what, rank+1))
					break
				}
			}
		}
	}
	return score, strings.Join(reasons, "; ")
}

// hit is the row of a feature for people.
func (s *Store) hit(rows []searchRow, i int, names map[string]string) Hit {
	r := rows[i]
	h := Hit{Feature: clt.Feature{Layer: i / s.Manifest.Features, Index: i % s.Manifest.Features}, Active: r.Active, Max: r.Max, Tokens: []string{}, Logits: []string{}}
	h.Density = float64(r.Active) / float64(max(1, s.Manifest.Summary.Tokens))
	var counts []int
	for _, p := range r.Peaks {
		h.Tokens, counts = append(h.Tokens, s.token(p.ID)), append(counts, p.N)
	}
	for _, id := range r.Top {
		h.Logits = append(h.Logits, s.token(id))
	}
	if h.Label = names[h.Feature.String()]; h.Label == "" {
		h.Label = guess(h.Layer, s.Manifest.Layers, r.Examples, h.Tokens, counts, h.Logits)
		h.Guess = h.Label != ""
	}
	return h
}
