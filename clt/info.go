package clt

// Info says where a transcoder's weights come from. It is kept in clt.json.
type Info struct {
	Train   *TrainConfig `json:"train,omitempty"`   // how it was trained
	Stats   *Stats       `json:"stats,omitempty"`   // scales of training, already folded into the weights
	Steps   int          `json:"steps,omitempty"`   // steps of training done
	Tokens  int          `json:"tokens,omitempty"`  // tokens seen in training
	Metrics *Metrics     `json:"metrics,omitempty"` // evaluation on held-out activations
	Note    string       `json:"note,omitempty"`    // free text

	TokenizerSHA256 string `json:"tokenizer_sha256,omitempty"` // of the tokens that it was trained on; see tokenizer.SHA256
	Source          string `json:"source,omitempty"`           // layout that it was converted from
	SourceSHA256    string `json:"source_sha256,omitempty"`    // HashWeights of what it was converted from
}
