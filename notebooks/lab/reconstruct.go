package lab

import (
	"fmt"
	"math"

	"github.com/etredal/cross-layer-transcoder/viz"
)

// Reconstruct decodes the features of a prompt and holds the result against the MLP
// outputs: at layer l and position p
//
//	ŷ = b_dec_l + Σ a_s · W_dec_s[s→l]   over the features s active at p in layers ≤ l
//	error = y - ŷ
func (s *Session) Reconstruct(prompt string) *Reconstruction {
	run := s.Run(prompt, "*hook_mlp_out")
	f := s.Encode(prompt)
	r := &Reconstruction{Tokens: run.Tokens, Skip: s.hasSkip()}
	for l := range run.Names() {
		name := fmt.Sprintf("blocks.%d.hook_mlp_out", l)
		if _, ok := run.arrays[name]; !ok { // the logits are in the list too
			break
		}
		y := run.Activation(name)
		z := Array{y.Shape, make([]float64, len(y.Data))}
		b := s.Tensor(fmt.Sprintf("b_dec_%d", l)).Data
		for p := range y.Shape[0] {
			copy(z.Row(p), b)
		}
		r.Outputs, r.Decoded = append(r.Outputs, y), append(r.Decoded, z)
	}
	for l := range r.Outputs {
		var rows []int
		var here []int // indices in f.Active
		for i, a := range f.Active {
			if a.Layer == l {
				rows, here = append(rows, a.Index), append(here, i)
			}
		}
		if len(rows) == 0 {
			continue
		}
		w := s.Tensor(fmt.Sprintf("W_dec_%d", l), rows...) // [active, targets, d_model]
		for k, i := range here {
			a := f.Active[i]
			for t := range w.Shape[1] {
				for j, x := range w.Row(k, t) {
					r.Decoded[l+t].Row(a.Pos)[j] += a.Value * x
				}
			}
		}
	}
	return r
}

// hasSkip says whether the transcoder also has a linear map, which is no feature.
func (s *Session) hasSkip() bool {
	c := s.Model().CLT
	return c != nil && c.Skip
}

// Reconstruction holds MLP outputs and what the features decode to, by layer, each
// [pos, d_model]. Position 0 has no features: its outputs are left alone.
type Reconstruction struct {
	Tokens           []string
	Outputs, Decoded []Array
	Skip             bool // the transcoder's linear skip is not in Decoded
}

// Error is y - ŷ at a layer and position.
func (r *Reconstruction) Error(layer, pos int) []float64 {
	if layer < 0 || layer >= len(r.Outputs) {
		fail("reconstruct", fmt.Errorf("lab: there is no layer %d; layers go from 0 to %d", layer, len(r.Outputs)-1))
		return nil
	}
	return Sum(r.Outputs[layer].Row(pos), Times(r.Decoded[layer].Row(pos), -1))
}

// Share is ‖error‖ / ‖y‖ at a layer and position.
func (r *Reconstruction) Share(layer, pos int) float64 {
	e := r.Error(layer, pos)
	if e == nil {
		return math.NaN()
	}
	return Norm(e) / Norm(r.Outputs[layer].Row(pos))
}

// Output is a map of the shares.
func (r *Reconstruction) Output() viz.Output {
	m, ys := make([][]float64, len(r.Outputs)), make([]string, len(r.Outputs))
	for l := range m {
		ys[l] = fmt.Sprintf("layer %d", l)
		for p := 1; p < len(r.Tokens); p++ {
			m[l] = append(m[l], r.Share(l, p))
		}
	}
	return viz.Heat("What the features miss: ‖error‖ / ‖MLP output‖", m, r.Tokens[1:], ys, viz.HeatOptions{BottomUp: true})
}
