package clt

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Metrics says how well a transcoder reconstructs raw activations. A normalised
// error (NMSE, also called FVU) is Σ‖y - ŷ‖²/Σ‖y - mean(y)‖² with sums over tokens
// and dimensions and the mean over the evaluated tokens; position 0 is left out.
type Metrics struct {
	Tokens int `json:"tokens"`

	NMSE       float64   `json:"nmse"`           // mean over layers
	NMSELayer  []float64 `json:"nmse_layer"`     // [layer]
	NMSEDim    float64   `json:"nmse_dim"`       // mean over layers and dimensions of the error of one dimension
	NMSEDimL   []float64 `json:"nmse_dim_layer"` // [layer] mean over dimensions
	NMSEPower  float64   `json:"nmse_power"`     // mean over layers of Σ‖y - ŷ‖²/Σ‖y‖²
	L0         float64   `json:"l0"`             // active features per token, summed over layers
	L0Layer    []float64 `json:"l0_layer"`       // [layer]
	Dead       float64   `json:"dead"`           // fraction of features that fired on none of the tokens
	DeadLayer  []float64 `json:"dead_layer"`     // [layer]
	Frequency  [][]int   `json:"-"`              // [layer][features] tokens on which a feature fired
	MeanActive []float64 `json:"mean_active"`    // [layer] mean activation of active features
}

// EvalActivations evaluates a transcoder on activations in raw space, in batches
// of any size.
func EvalActivations(ctx context.Context, b compute.Backend, t *Transcoder, data iter.Seq2[Batch, error]) (Metrics, error) {
	w, err := t.Upload(b, dtypes.Float32)
	if err != nil {
		return Metrics{}, err
	}
	defer w.Free()
	exec, err := graph.NewExec(b, t.evalGraph)
	if err != nil {
		return Metrics{}, fmt.Errorf("clt: evaluate: %w", err)
	}
	defer exec.Finalize()
	exec.SetMaxCache(-1)
	sums := newEvalSums(t.Config)
	for batch, err := range data {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = batch.check(t.Config)
		}
		if err != nil {
			return Metrics{}, fmt.Errorf("clt: evaluate after %d tokens: %w", sums.tokens, err)
		}
		if err := t.evalBatch(exec, w, batch, sums); err != nil {
			return Metrics{}, fmt.Errorf("clt: evaluate: %w", err)
		}
	}
	if sums.tokens == 0 {
		return Metrics{}, fmt.Errorf("clt: evaluate: there are no tokens; give some activations")
	}
	return sums.metrics(), nil
}

// evalBatch adds one batch to the sums, which are taken on the host in float64.
func (t *Transcoder) evalBatch(exec *graph.Exec, w *Weights, batch Batch, sums *evalSums) error {
	n := batch.Tokens(t.DModel)
	var args []any
	for _, v := range batch.In {
		args = append(args, tensors.FromFlatDataAndDimensions(v, n, t.DModel))
	}
	out, err := exec.Call(w.Inputs(args...)...)
	if err != nil {
		return err
	}
	defer func() {
		for _, x := range args {
			_ = x.(*tensors.Tensor).FinalizeAll()
		}
		for _, x := range out {
			_ = x.FinalizeAll()
		}
	}()
	read := func(i int) ([]float32, error) { return tensors.CopyFlatData[float32](out[i]) }
	for l := range t.Layers {
		y, err1 := read(l)
		fired, err2 := read(t.Layers + l)
		active, err3 := read(2*t.Layers + l)
		for _, err := range []error{err1, err2, err3} {
			if err != nil {
				return err
			}
		}
		sums.add(l, batch.Out[l], y, fired, float64(active[0]))
	}
	sums.tokens += n
	return nil
}

// evalSums are the sums behind Metrics, by layer.
type evalSums struct {
	c          Config
	tokens     int
	error      [][]float64 // [layer][d_model] squared error
	sum, power [][]float64 // [layer][d_model] of the output and its square
	fired      [][]int     // [layer][features]
	active     []float64   // [layer] sum of activations
}

func newEvalSums(c Config) *evalSums {
	s := &evalSums{c: c, active: make([]float64, c.Layers)}
	for range c.Layers {
		s.error = append(s.error, make([]float64, c.DModel))
		s.sum = append(s.sum, make([]float64, c.DModel))
		s.power = append(s.power, make([]float64, c.DModel))
		s.fired = append(s.fired, make([]int, c.Features))
	}
	return s
}

func (s *evalSums) add(l int, y, estimate, fired []float32, active float64) {
	for i, v := range y {
		d, e := float64(v), float64(v)-float64(estimate[i])
		j := i % s.c.DModel
		s.sum[l][j] += d
		s.power[l][j] += d * d
		s.error[l][j] += e * e
	}
	for f, n := range fired {
		s.fired[l][f] += int(n)
	}
	s.active[l] += active
}

func (s *evalSums) metrics() Metrics {
	m := Metrics{Tokens: s.tokens, Frequency: s.fired}
	n, layers := float64(s.tokens), float64(s.c.Layers)
	for l := range s.c.Layers {
		var err, variance, power, perDim float64
		for j := range s.c.DModel {
			v := max(s.power[l][j]-s.sum[l][j]*s.sum[l][j]/n, 0)
			err += s.error[l][j]
			variance += v
			power += s.power[l][j]
			perDim += ratio(s.error[l][j], v) / float64(s.c.DModel)
		}
		total, dead := 0, 0
		for _, k := range s.fired[l] {
			total += k
			if k == 0 {
				dead++
			}
		}
		m.NMSELayer = append(m.NMSELayer, ratio(err, variance))
		m.L0Layer = append(m.L0Layer, float64(total)/n)
		m.DeadLayer = append(m.DeadLayer, float64(dead)/float64(s.c.Features))
		m.MeanActive = append(m.MeanActive, s.active[l]/max(float64(total), 1))
		m.NMSE += m.NMSELayer[l] / layers
		m.NMSEDimL = append(m.NMSEDimL, perDim)
		m.NMSEDim += perDim / layers
		m.NMSEPower += ratio(err, power) / layers
		m.L0 += m.L0Layer[l]
		m.Dead += m.DeadLayer[l] / layers
	}
	return m
}

// ratio is a/b; for a constant output (b = 0) it is 0 if met exactly, otherwise 1.
func ratio(a, b float64) float64 {
	switch {
	case a == 0:
		return 0
	case b == 0:
		return 1
	}
	return a / b
}

// DensityQuantiles are the fractions of features of which Densities gives values.
var DensityQuantiles = []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 1}

// DensityAt are the quantiles of the densities of one layer.
func (m Metrics) DensityAt(layer int) []float64 {
	d, q := m.Densities(layer), make([]float64, len(DensityQuantiles))
	for i, p := range DensityQuantiles {
		q[i] = d[int(p*float64(len(d)-1)+0.5)]
	}
	return q
}

// Densities are the fractions of tokens on which features fired, of one layer,
// sorted from rare to frequent.
func (m Metrics) Densities(layer int) []float64 {
	var d []float64
	for _, k := range m.Frequency[layer] {
		d = append(d, float64(k)/float64(m.Tokens))
	}
	slices.Sort(d)
	return d
}
