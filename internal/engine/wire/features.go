package wire

import "encoding/json"

// FeaturesBuildRequest makes the feature store of a transcoder.
type FeaturesBuildRequest struct {
	Setup
	World  bool            `json:"world,omitempty"` // on the sentences of the pocket world
	Texts  []string        `json:"texts,omitempty"`
	Tokens int             `json:"tokens,omitempty"` // stop after so many; 0 for all of the texts
	Config json.RawMessage `json:"config,omitempty"` // features.Config, over the defaults
	Out    string          `json:"out,omitempty"`    // folder; empty: "features" in the transcoder's folder, or the cache for the pocket model
}

// FeatureStore says what a store holds.
type FeatureStore struct {
	Path     string  `json:"path"`
	Corpus   string  `json:"corpus"`
	Tokens   int     `json:"tokens"`
	Features int     `json:"features"`
	Dead     int     `json:"dead"`
	Bytes    int     `json:"bytes"`
	Seconds  float64 `json:"seconds,omitempty"` // of a build
}

// FeaturesRequest searches a store; see features.Store.Search for the query.
type FeaturesRequest struct {
	Setup
	Store string `json:"store,omitempty"` // as Out of FeaturesBuildRequest
	Query string `json:"query,omitempty"` // "" for all, the densest first
	Top   int    `json:"top,omitempty"`   // 0 for 20, negative for all
}

// FeatureHit is one feature that was found.
type FeatureHit struct {
	Layer   int      `json:"layer"`
	Index   int      `json:"index"`
	Label   string   `json:"label,omitempty"`
	Guess   bool     `json:"guess,omitempty"` // the label was made from tokens, by no person
	Active  int      `json:"active"`          // tokens
	Density float64  `json:"density"`
	Max     float64  `json:"max"`
	Tokens  []string `json:"tokens"` // of its top examples, the most frequent first
	Logits  []string `json:"logits"` // raised most
	Score   float64  `json:"score"`
	Why     string   `json:"why,omitempty"`
}

// FeaturesResponse lists hits by falling score.
type FeaturesResponse struct {
	Store FeatureStore `json:"store"`
	Total int          `json:"total"` // also those beyond Top
	Hits  []FeatureHit `json:"hits"`
}

// FeatureID names a feature.
type FeatureID struct {
	Layer int `json:"layer"`
	Index int `json:"index"`
}

// FeatureRequest asks for all that a store knows of some features.
type FeatureRequest struct {
	Setup
	Store    string      `json:"store,omitempty"`
	Features []FeatureID `json:"features"`
	Brief    int         `json:"brief,omitempty"` // keep so many top examples and leave out the rest of a dashboard; 0 for all
}

// FeatureResponse has the features in the order asked for, each as features.Feature
// and viz.Feature read it.
type FeatureResponse struct {
	Store    FeatureStore      `json:"store"`
	Features []json.RawMessage `json:"features"`
}

// LabelRequest names a feature, or takes its name away if Label is empty.
type LabelRequest struct {
	Setup
	Store string `json:"store,omitempty"`
	FeatureID
	Label string `json:"label"`
}

// LabelResponse is what the feature is called now.
type LabelResponse struct {
	Label string `json:"label"`
	Guess bool   `json:"guess,omitempty"`
}
