package wire

// Evaluation is everything measured on one transcoder. Position 0 is never in it.
type Evaluation struct {
	NMSE         float64   `json:"nmse"`       // pooled over dimensions, mean over layers
	NMSELayer    []float64 `json:"nmse_layer"` // by layer
	NMSEDim      float64   `json:"nmse_dim"`   // mean over dimensions, then layers
	L0           float64   `json:"l0"`         // active features per token, mean over layers
	L0Layer      []float64 `json:"l0_layer"`
	Dead         float64   `json:"dead"` // features that never fired on these tokens, fraction
	DeadLayer    []float64 `json:"dead_layer"`
	CE           float64   `json:"ce"`          // nats per token
	CEReplaced   float64   `json:"ce_replaced"` // of the full replacement model
	CEZero       float64   `json:"ce_zero"`     // MLP outputs zero
	CEMean       float64   `json:"ce_mean"`     // MLP outputs at their mean
	KL           float64   `json:"kl"`          // nats per token
	Top1         float64   `json:"top1"`        // same likeliest token, fraction
	Cosine       float64   `json:"cosine"`      // of the logits, each centred over the vocabulary
	MSE          float64   `json:"mse"`         // of the logits, mean over the vocabulary
	Tokens       int       `json:"tokens"`
	Replacement  *float64  `json:"replacement_score,omitempty"` // mean over graphs
	Completeness *float64  `json:"completeness,omitempty"`
	Graphs       int       `json:"graphs,omitempty"`

	NMSEDimLayer  []float64    `json:"nmse_dim_layer"`
	Density       [][]float64  `json:"density"`             // [layer] quantiles, over features, of the fraction of tokens on which a feature fires
	DensityAt     []float64    `json:"density_at"`          // which quantiles
	MeanActive    []float64    `json:"mean_active"`         // [layer] mean activation of active features
	LossRecovered float64      `json:"loss_recovered"`      // (ce_zero - ce_replaced)/(ce_zero - ce)
	OverMean      float64      `json:"loss_recovered_mean"` // the same with ce_mean in place of ce_zero
	KLLayer       []float64    `json:"kl_layer,omitempty"`  // with that layer's MLP output alone replaced
	GraphScores   []GraphScore `json:"graph_scores,omitempty"`

	// The model with all neurons at zero whose activation is below the threshold of
	// their layer, with as many neurons active as the transcoder has features.
	CENeurons        *float64  `json:"ce_neurons,omitempty"`
	NeuronThresholds []float64 `json:"neuron_thresholds,omitempty"` // [layer]
}

// GraphScore is how much the graph of one prompt explains.
type GraphScore struct {
	Prompt       string  `json:"prompt"`
	Replacement  float64 `json:"replacement_score"`
	Completeness float64 `json:"completeness"`
	Active       int     `json:"active"` // features
}
