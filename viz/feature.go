package viz

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
)

// Feature is what a feature store knows of one feature; everything is plain
// data, named as "clt features show -json" names it.
type Feature struct {
	Layer int    `json:"layer"`
	Index int    `json:"index"`
	Label string `json:"label,omitempty"`
	Guess bool   `json:"guess,omitempty"` // the label was made from tokens, by no person

	Tokens  int     `json:"tokens"`  // tokens that were looked at
	Active  int     `json:"active"`  // tokens on which it was active; 0 for a dead feature
	Density float64 `json:"density"` // the fraction of the two
	Max     float64 `json:"max"`     // largest activation
	Mean    float64 `json:"mean"`    // over the tokens on which it was active

	Groups    []ExampleGroup `json:"groups,omitempty"` // the top examples first, then intervals of activation from high to low
	Histogram []int          `json:"histogram,omitempty"`
	BinWidth  float64        `json:"bin_width,omitempty"` // bin i counts activations from i·BinWidth on; zero is in none

	Top        []TokenScore    `json:"top,omitempty"`      // logits raised most by what it writes to all layers, relative to the mean logit
	Bottom     []TokenScore    `json:"bottom,omitempty"`   // lowered most
	Targets    []TargetLayer   `json:"targets,omitempty"`  // the same by layer that it writes to
	Embeddings []TokenScore    `json:"embed,omitempty"`    // token embeddings that it reads most, raw
	Extended   []TokenScore    `json:"extended,omitempty"` // the same for embeddings after the first MLP
	Coactive   []CoactiveEntry `json:"coactive,omitempty"`
}

// ExampleGroup is examples whose activation lies in one interval.
type ExampleGroup struct {
	Name     string           `json:"name"`
	Low      float64          `json:"low"`
	High     float64          `json:"high"`
	Examples []FeatureExample `json:"examples"`
}

// FeatureExample is a stretch of text around a token on which the feature was
// active.
type FeatureExample struct {
	Tokens  []string  `json:"tokens"`
	Values  []float64 `json:"values"` // activation per token
	Peak    int       `json:"peak"`   // the token that the example is about
	Value   float64   `json:"value"`  // activation there
	Window  int       `json:"window"` // where in the corpus
	Pos     int       `json:"pos"`
	Repeats int       `json:"repeats,omitempty"` // further places with the same text up to the peak
}

// TokenScore is a token with a number.
type TokenScore struct {
	ID    int     `json:"id"`
	Token string  `json:"token"`
	Value float64 `json:"value"`
}

// TargetLayer is what the feature writes to one layer.
type TargetLayer struct {
	Layer  int          `json:"layer"`
	Norm   float64      `json:"norm"` // of the decoder vector
	Top    []TokenScore `json:"top,omitempty"`
	Bottom []TokenScore `json:"bottom,omitempty"`
}

// CoactiveEntry is another feature that is active on the same tokens.
type CoactiveEntry struct {
	Layer int     `json:"layer"`
	Index int     `json:"index"`
	Label string  `json:"label,omitempty"`
	Share float64 `json:"share"` // of the tokens on which the feature is active
	Count int     `json:"count"`
}

// ParseFeature reads a feature from the JSON of "clt features show -json".
func ParseFeature(data []byte) (Feature, error) {
	var f Feature
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("viz: feature: %w; give the JSON of clt features show -json", err)
	}
	for _, g := range f.Groups {
		for _, e := range g.Examples {
			for i, t := range e.Tokens {
				e.Tokens[i] = rawBytes(t)
			}
		}
	}
	return f, nil
}

var escapedBytes = regexp.MustCompile(`^(\\x[0-9a-f]{2})+$`)

// rawBytes undoes the \xNN by which JSON holds tokens that are no text on their own:
// with their neighbours they may be.
func rawBytes(token string) string {
	if !escapedBytes.MatchString(token) {
		return token
	}
	var raw []byte
	for i := 2; i < len(token); i += 4 {
		b, err := strconv.ParseUint(token[i:i+2], 16, 8)
		if err != nil {
			return token
		}
		raw = append(raw, byte(b))
	}
	return string(raw)
}

// name is "L3/F128".
func (f Feature) name() string { return fmt.Sprintf("L%d/F%d", f.Layer, f.Index) }

// title is the name with the label, which says so if it is a guess.
func (f Feature) title() string {
	s := "Feature " + f.name()
	switch {
	case f.Label == "":
	case f.Guess:
		s += " · guess: " + cut(f.Label, 80)
	default:
		s += " · “" + cut(f.Label, 80) + "”"
	}
	return s
}

// dead says that the feature was never active.
func (f Feature) dead() bool { return f.Active == 0 }

// facts are the numbers of the head line.
func (f Feature) facts() string {
	if f.dead() {
		return "never active on " + many(f.Tokens, "token")
	}
	return fmt.Sprintf("active on %s of %s (%s) · largest activation %s · mean when active %s", count(f.Active), many(f.Tokens, "token"), pct(f.Density), num(f.Max), num(f.Mean))
}
