package clt

// Info says where a transcoder's weights come from. It is kept in clt.json.
type Info struct {
	Train   *TrainConfig `json:"train,omitempty"`   // how it was trained
	Stats   *Stats       `json:"stats,omitempty"`   // scales of training, already folded into the weights
	Steps   int          `json:"steps,omitempty"`   // steps of training done
	Tokens  int          `json:"tokens,omitempty"`  // tokens seen in training
	Metrics *Metrics     `json:"metrics,omitempty"` // evaluation on held-out activations
	Note    string       `json:"note,omitempty"`    // free text
}
