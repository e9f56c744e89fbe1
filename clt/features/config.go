package features

import "fmt"

// Config says what a store keeps of each feature.
type Config struct {
	Tokens   int `json:"tokens"` // stop after so many tokens; 0 for all of the texts
	Top      int `json:"top"`    // examples of largest activation
	Groups   int `json:"groups"` // intervals of equal width over (0, max]
	PerGroup int `json:"per_group"`
	Before   int `json:"before"` // tokens kept before the one that counts
	After    int `json:"after"`
	Logits   int `json:"logits"`   // tokens at each end of a list
	ByLayer  int `json:"by_layer"` // the same for the lists of one target layer
	Coactive int `json:"coactive"` // other features in the store
	Sketch   int `json:"sketch"`   // counters of other features during the pass
	Every    int `json:"every"`    // pairs are counted on every so manyth activation after the first; 0 for as many as cost little

	CheckpointTokens int `json:"-"` // save what was seen every so many tokens
}

// DefaultConfig keeps what a dashboard shows.
func DefaultConfig() Config {
	return Config{Top: 20, Groups: 10, PerGroup: 5, Before: 10, After: 5, Logits: 10, ByLayer: 5, Coactive: 16, Sketch: 64, CheckpointTokens: 1 << 20}
}

// Validate names the first field that cannot be.
func (c Config) Validate() error {
	for _, f := range []struct {
		name       string
		v, lo, top int
	}{{"tokens", c.Tokens, 0, 1 << 31}, {"top", c.Top, 1, 1000}, {"groups", c.Groups, 1, 100}, {"per_group", c.PerGroup, 0, 1000}, {"before", c.Before, 0, 1 << 14}, {"after", c.After, 0, 1 << 14},
		{"logits", c.Logits, 1, 1000}, {"by_layer", c.ByLayer, 0, 1000}, {"coactive", c.Coactive, 0, 1000}, {"sketch", c.Sketch, 1, 1 << 16}, {"every", c.Every, 0, 1 << 20}, {"checkpoint", c.CheckpointTokens, 1, 1 << 40}} {
		if f.v < f.lo || f.v > f.top {
			return fmt.Errorf("features: config: %s is %d, must be between %d and %d", f.name, f.v, f.lo, f.top)
		}
	}
	if c.Coactive > c.Sketch {
		return fmt.Errorf("features: config: coactive is %d, more than the %d counters of sketch", c.Coactive, c.Sketch)
	}
	return nil
}

// context is the longest text of an example.
func (c Config) context() int { return c.Before + 1 + c.After }

const (
	exampleBytes = 96  // of an example without its text
	partnerBytes = 48  // of a counter
	blockBytes   = 640 // of a feature without the two: 64 bins and the rest
)

// Bytes is the most memory that the pass holds for that many features that were
// ever active, whatever the size of the corpus.
func (c Config) Bytes(features int) int {
	examples := c.Top + 1 + c.Groups*(c.PerGroup+1) // each list has room for one more
	return features * (blockBytes + 24*c.Groups + examples*(exampleBytes+8*c.context()) + c.Sketch*partnerBytes)
}
