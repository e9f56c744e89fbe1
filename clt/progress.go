package clt

import "time"

// Progress is one report of a training run. Losses are those of the last batch,
// summed over layers in scaled space.
type Progress struct {
	Step  int `json:"step"` // steps done
	Steps int `json:"steps"`

	Loss           float64 `json:"loss"`
	Reconstruction float64 `json:"reconstruction"` // Σ_l mean ‖ŷ - y‖²
	Sparsity       float64 `json:"sparsity"`       // with its weight λ
	Dead           float64 `json:"dead_loss"`      // with its weight
	Aux            float64 `json:"aux_loss"`       // with its weight
	KL             float64 `json:"kl,omitempty"`   // of a KL step: replacement model from model, nats per token, without its weight

	NMSE         float64   `json:"nmse"`           // mean over layers
	NMSELayer    []float64 `json:"nmse_layer"`     // ‖y - ŷ‖²/‖y - mean(y)‖² of the batch
	L0           float64   `json:"l0"`             // active features per token, summed over layers
	L0Layer      []float64 `json:"l0_layer"`       // active features per token
	DeadFraction []float64 `json:"dead_fraction"`  // features silent for the dead window, by layer
	Threshold    float64   `json:"threshold"`      // running batchtopk threshold
	Lambda       float64   `json:"lambda"`         // weight of the sparsity penalty
	LR           float64   `json:"lr"`             // learning rate
	GradientNorm float64   `json:"gradient_norm"`  // before clipping
	TokensPerSec float64   `json:"tokens_per_sec"` // since the last report, waiting for data included
	DataWait     float64   `json:"data_wait"`      // fraction of the time spent waiting for data

	Elapsed time.Duration `json:"-"` // since this run (not a resumed one's first) began
}

// Positions of scalars in the vector that a step returns; values by layer follow.
const (
	outTotal = iota
	outReconstruction
	outSparsity
	outDead
	outAux
	outNorm
	outThreshold
	outFinite
	outLayers // errors, variances, L0, dead fractions: each [layers]
)

// readStep unpacks the vector that a step returns.
func readStep(v []float32, layers int) Progress {
	p := Progress{Loss: float64(v[outTotal]), Reconstruction: float64(v[outReconstruction]), Sparsity: float64(v[outSparsity]),
		Dead: float64(v[outDead]), Aux: float64(v[outAux]), GradientNorm: float64(v[outNorm]), Threshold: float64(v[outThreshold])}
	at := func(group, l int) float64 { return float64(v[outLayers+group*layers+l]) }
	for l := range layers {
		p.NMSELayer = append(p.NMSELayer, at(0, l)/max(at(1, l), 1e-30))
		p.L0Layer = append(p.L0Layer, at(2, l))
		p.DeadFraction = append(p.DeadFraction, at(3, l))
		p.NMSE += p.NMSELayer[l] / float64(layers)
		p.L0 += p.L0Layer[l]
	}
	return p
}
