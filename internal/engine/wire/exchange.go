package wire

// ConvertRequest reads a transcoder in any known layout and writes it in
// circuit-tracer's, with clt.json beside it.
type ConvertRequest struct {
	From       string `json:"from,omitempty"` // layout; "" finds it
	Src        string `json:"src"`
	Out        string `json:"out"`
	Read       string `json:"read,omitempty"`       // what the encoders read, if the files do not say or are wrong
	Activation string `json:"activation,omitempty"` // relu or topk, likewise
	K          int    `json:"k,omitempty"`          // with topk
	Layers     int    `json:"layers,omitempty"`     // of the model, if the set leaves some out
	Model      string `json:"model,omitempty"`      // model to check the reconstruction on; "" for none
	Backend    string `json:"backend,omitempty"`
}

// ConvertResponse says what was written.
type ConvertResponse struct {
	Layout  string   `json:"layout"` // that was read
	Out     string   `json:"out"`
	CLT     CLTInfo  `json:"clt"`
	NMSE    *float64 `json:"nmse,omitempty"` // on a text of a few words, with a model
	Remarks []string `json:"remarks"`
	Warned
}
