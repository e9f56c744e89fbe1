package wire

// Warned carries what people should know before they trust a result.
type Warned struct {
	Warnings []string `json:"warnings,omitempty"`
}

// DefaultControl is how many random edits an intervention is held against unless the
// caller says otherwise; a request has the number that is drawn.
const DefaultControl = 20

// InterveneRequest edits features, or adds vectors, and runs the model.
type InterveneRequest struct {
	Setup
	Prompt
	Edits   []string `json:"edits"`             // see replacement.EditSyntax
	Other   *Prompt  `json:"other,omitempty"`   // prompt that swaps take activations from; without edits all features are swapped where the tokens differ
	Groups  []Group  `json:"groups,omitempty"`  // supernodes that are read out
	Layers  string   `json:"layers,omitempty"`  // "a:b"; empty for all
	Freeze  string   `json:"freeze,omitempty"`  // "attention,ln", "attention", "none"; empty: what fits the mode
	Mode    string   `json:"mode,omitempty"`    // constrained, iterative, live
	Control int      `json:"control,omitempty"` // random edits to draw
	Seed    uint64   `json:"seed,omitempty"`    // of the random draws of Control, each of equal count and mass
	Track   []string `json:"track,omitempty"`   // tokens whose logits are followed; the top one if empty
	Top     int      `json:"top,omitempty"`
	Out     string   `json:"out,omitempty"` // safetensors with logits and pre-activations
}

// Group is a supernode: features "L/F@P" that play one role.
type Group struct {
	Name     string   `json:"name"`
	Features []string `json:"features"`
}

// GroupChange is what edits did to a supernode: sums of activations, and what is
// left of it. Fraction is missing if nothing was there.
type GroupChange struct {
	Name     string   `json:"name"`
	Features int      `json:"features"`
	Before   float64  `json:"before"`
	After    float64  `json:"after"`
	Fraction *float64 `json:"fraction,omitempty"`
}

// Tracked is one token's logit before and after, what the graph predicts, and what
// random edits of the same size did.
type Tracked struct {
	ID             int32    `json:"id"`
	Token          string   `json:"token"`
	LogitBefore    float64  `json:"logit_before"`
	LogitAfter     float64  `json:"logit_after"`
	ProbBefore     float64  `json:"prob_before"`
	ProbAfter      float64  `json:"prob_after"`
	Predicted      float64  `json:"predicted_change"`                 // of the centred logit, from the graph's direct edges
	PredictedTotal *float64 `json:"predicted_total_change,omitempty"` // the same over all paths through features; in iterative mode
	Measured       float64  `json:"measured_change"`                  // of the centred logit
	Control        *Control `json:"control,omitempty"`
}

// Control sums up random edits: change of the centred logit.
type Control struct {
	Draws   int     `json:"draws"`
	Mean    float64 `json:"mean"`
	MeanAbs float64 `json:"mean_abs"`
	MaxAbs  float64 `json:"max_abs"`
}

// FeatureChange is a feature whose activation changed.
type FeatureChange struct {
	Layer  int     `json:"layer"`
	Pos    int     `json:"pos"`
	Index  int     `json:"index"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// InterveneResponse is what the edits did.
type InterveneResponse struct {
	TokensResponse
	Warned
	Mode     string          `json:"mode"`
	Layers   [2]int          `json:"layers"`
	Frozen   []string        `json:"frozen"`
	Edits    []string        `json:"edits"` // swaps with the values that they took
	Before   []Prediction    `json:"before"`
	After    []Prediction    `json:"after"`
	KL       float64         `json:"kl"`      // KL(before || after) of the next token, nats
	KLMean   float64         `json:"kl_mean"` // mean over the positions of the prompt
	Tracked  []Tracked       `json:"tracked"`
	Groups   []GroupChange   `json:"groups"`             // "edited" first, then those asked for
	Changed  []FeatureChange `json:"changed"`            // the largest, at most 50
	Crossing []string        `json:"crossing,omitempty"` // features that the prediction sends to their threshold: from there on it is wrong
	Off      int             `json:"switched_off"`       // features that the edits switched off, the edited ones not counted
	On       int             `json:"switched_on"`
	Control  int             `json:"control"` // draws done
	Out      string          `json:"out,omitempty"`
}

// WhatIfRequest asks what edits will do, and compares.
type WhatIfRequest struct {
	Setup
	Prompt
	Edits []string `json:"edits"`
	Other *Prompt  `json:"other,omitempty"` // as in InterveneRequest
	Track []string `json:"track,omitempty"` // the likeliest five if empty
}

// WhatIf is one token: the change of its centred logit as the graph predicts it
// before anything is run, as the local replacement model has it (everything frozen,
// features live), and as the model itself has it (nothing frozen).
type WhatIf struct {
	ID         int32   `json:"id"`
	Token      string  `json:"token"`
	Predicted  float64 `json:"predicted"`
	Local      float64 `json:"local"`
	Model      float64 `json:"model"`
	ProbBefore float64 `json:"prob_before"`
	ProbAfter  float64 `json:"prob_after"` // in the model itself
}

// Agreement compares predicted and measured changes of pre-activations.
type Agreement struct {
	Features int     `json:"features"` // compared: those of the graph that are not edited and should move
	Cosine   float64 `json:"cosine"`
	NMSE     float64 `json:"nmse"` // Σ(predicted - measured)²/Σ measured²
	Sign     float64 `json:"sign"` // fraction with the same sign
}

// WhatIfResponse holds prediction and measurement side by side.
type WhatIfResponse struct {
	TokensResponse
	Warned
	Edits    []string  `json:"edits"`
	Targets  []WhatIf  `json:"targets"`
	Local    Agreement `json:"local"`
	Model    Agreement `json:"model"`
	Crossing []string  `json:"crossing"` // features that the prediction sends to their threshold
	Off      int       `json:"switched_off"`
	On       int       `json:"switched_on"`
}
