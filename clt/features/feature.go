package features

// Feature is everything that a store knows of one feature.
type Feature struct {
	Layer int    `json:"layer"`
	Index int    `json:"index"`
	Label string `json:"label,omitempty"`
	Guess bool   `json:"guess,omitempty"` // the label was made from tokens, by no person

	Tokens  int     `json:"tokens"` // seen by the pass
	Active  int     `json:"active"` // of these, with the feature active; 0 for a dead one
	Density float64 `json:"density"`
	Max     float64 `json:"max"`
	Mean    float64 `json:"mean"` // over the tokens on which it is active

	Groups    []Group `json:"groups,omitempty"`    // top examples, then intervals from high to low
	Histogram []int   `json:"histogram,omitempty"` // zeros are in no bin
	BinWidth  float64 `json:"bin_width,omitempty"`

	Top      []Score    `json:"top,omitempty"` // logits, see the package
	Bottom   []Score    `json:"bottom,omitempty"`
	Targets  []Target   `json:"targets,omitempty"`
	Embed    []Score    `json:"embed,omitempty"`
	Extended []Score    `json:"extended,omitempty"` // none for layer 0, which reads before the first MLP
	Coactive []Coactive `json:"coactive,omitempty"`
}

// Dead says that the pass never saw the feature active.
func (f *Feature) Dead() bool { return f.Active == 0 }

// Group is the examples of one interval of activation.
type Group struct {
	Name     string    `json:"name"`
	Low      float64   `json:"low"`
	High     float64   `json:"high"`
	Examples []Example `json:"examples"`
}

// Example is a token on which the feature is active, in its context.
type Example struct {
	Tokens  []string  `json:"tokens"`
	Values  []float64 `json:"values"` // activation by token
	Peak    int       `json:"peak"`   // the token
	Value   float64   `json:"value"`
	Window  int       `json:"window"` // of the corpus
	Pos     int       `json:"pos"`    // in the window
	Repeats int       `json:"repeats,omitempty"`
}

// Score is a token with a number.
type Score struct {
	ID    int     `json:"id"`
	Token string  `json:"token"`
	Value float64 `json:"value"`
}

// Target is what the feature writes to one layer.
type Target struct {
	Layer  int     `json:"layer"`
	Norm   float64 `json:"norm"` // of the decoder vector
	Top    []Score `json:"top,omitempty"`
	Bottom []Score `json:"bottom,omitempty"`
}

// Coactive is a feature that is active on the same tokens. Residual and
// TargetWeighted are the factors of ERA and TWERA with this feature as source and
// the other as target, Back… the other way round (see clt.Coactivation).
type Coactive struct {
	Layer int     `json:"layer"`
	Index int     `json:"index"`
	Label string  `json:"label,omitempty"`
	Share float64 `json:"share"` // of this feature's tokens
	Count int     `json:"count"`

	Residual           float64 `json:"residual"`        // E[1(a'>0)·a]
	TargetWeighted     float64 `json:"target_weighted"` // E[a·a']/E[a']
	BackResidual       float64 `json:"back_residual"`
	BackTargetWeighted float64 `json:"back_target_weighted"`
}
