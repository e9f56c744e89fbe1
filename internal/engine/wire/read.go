package wire

// TensorsRequest reads weights. Names of the model are those of its checkpoint
// ("wte.weight", "h.0.ln_2.weight"), names of the transcoder W_enc_L [features,
// d_model], b_enc_L, threshold_L [features], W_dec_L [features, targets, d_model]
// and b_dec_L [d_model] for a layer L.
type TensorsRequest struct {
	Setup
	Names []string `json:"names"`
	Rows  []int    `json:"rows,omitempty"` // of the first axis, in this order; none for all
	Out   string   `json:"out"`            // safetensors
}

// TensorsResponse says what was written.
type TensorsResponse struct {
	Out   string           `json:"out"`
	Shape map[string][]int `json:"shape"`
}

// LensRequest reads every layer's residual stream out as if it were the last.
type LensRequest struct {
	Setup
	Prompt
	Track string `json:"track,omitempty"` // token that is followed at the last position; none for the likeliest
}

// LensResponse is the logit lens: a stage is the embedding, or the stream after a
// layer, read through ln_f with the divisor of its own and the unembedding.
type LensResponse struct {
	TokensResponse
	Stages []string       `json:"stages"` // "embedding", "layer 0", …
	Top    [][]Prediction `json:"top"`    // [stage][pos]: the likeliest token there
	Answer Prediction     `json:"answer"` // the tracked token after the last position
	Rank   []int          `json:"rank"`   // of the tracked token at the last position, by stage; 1 is the likeliest
	Prob   []float64      `json:"prob"`
	// Parts is the direct attribution of the tracked token's centred logit (logit
	// minus mean logit) to what was written into the stream at the last position.
	// They add up to Centred.
	Parts   []LogitPart `json:"parts"`
	Centred float64     `json:"centred"`
}

// LogitPart is what one component gives to a logit.
type LogitPart struct {
	Name  string  `json:"name"` // "token", "position", "attention 0", "MLP 0", …, "bias"
	Value float64 `json:"value"`
}

// StatusResponse is what the engine holds.
type StatusResponse struct {
	MemoryMiB int      `json:"memory_mib"` // of the process; 0 if the system does not tell
	PeakMiB   int      `json:"peak_mib"`
	Models    []Loaded `json:"models"`
	Backends  []string `json:"backends"`
}

// Loaded is one open model or transcoder.
type Loaded struct {
	Kind       string `json:"kind"` // "model" or "transcoder"
	Name       string `json:"name"`
	SHA256     string `json:"sha256"`
	Parameters int    `json:"parameters"`
	DType      string `json:"dtype"`
}
