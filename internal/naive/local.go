package naive

import "strings"

// Active is one active feature of a prompt.
type Active struct {
	Layer, Pos, Index int
	Value             float64
}

// Local is the local replacement model of one prompt: attention patterns and
// LayerNorm divisors frozen, MLP outputs written as what features decode to plus
// constant errors. Position 0 has no features.
type Local struct {
	*Model
	CLT    *CLT
	Tokens []int32
	Clean  Acts
	Pre    [][]float64 // layer -> [T, F]
	Act    [][]float64 // layer -> [T, F], position 0 zero
	Errors [][]float64 // layer -> [T, d]: MLP output minus reconstruction
	Active []Active    // by layer, position, index
}

// Localize runs the model once and freezes what the rows need.
func Localize(m *Model, c *CLT, tokens []int32) *Local {
	l := &Local{Model: m, CLT: c, Tokens: tokens, Clean: m.Forward(tokens, nil)}
	for layer := range m.Layers {
		pre, act := c.Encode(layer, l.reads()[layer])
		clear(act[:c.Features])
		l.Pre, l.Act = append(l.Pre, pre), append(l.Act, act)
		for i, v := range act {
			if v != 0 {
				l.Active = append(l.Active, Active{layer, i / c.Features, i % c.Features, v})
			}
		}
	}
	for layer, y := range c.Decode(l.Act, l.reads()) {
		l.Errors = append(l.Errors, difference(l.Clean[At(layer, "hook_mlp_out")], y))
	}
	return l
}

// reads are what the encoders read on the clean run, by layer.
func (l *Local) reads() [][]float64 {
	var list [][]float64
	for layer := range l.Layers {
		list = append(list, l.Clean[At(layer, l.CLT.Read)])
	}
	return list
}

// frozen says whether a hook is held at its clean value.
func frozen(name string) bool {
	return strings.HasSuffix(name, "hook_pattern") || strings.HasSuffix(name, "hook_scale")
}

// Run is the live local replacement model: features are encoded from this run's
// own stream, edited, and decoded; edit may be nil. Unedited it is the clean run.
func (l *Local) Run(edit func(layer, pos, index int, a float64) float64) Acts {
	c := l.CLT
	act, reads := make([][]float64, l.Layers), make([][]float64, l.Layers)
	return l.Forward(l.Tokens, func(name string, x []float64) []float64 {
		if frozen(name) {
			return l.Clean[name]
		}
		for layer := range l.Layers {
			if name == At(layer, c.Read) {
				_, a := c.Encode(layer, x)
				clear(a[:c.Features])
				for i := range a {
					if edit != nil && i >= c.Features {
						a[i] = edit(layer, i/c.Features, i%c.Features, a[i])
					}
				}
				act[layer], reads[layer] = a, x
				for later := layer + 1; later < l.Layers; later++ {
					act[later] = make([]float64, len(a))
				}
			}
			if name == At(layer, "hook_mlp_out") {
				return sum(c.decode(layer, act, reads), l.Errors[layer])
			}
		}
		return x
	})
}

// Affine is the frozen model as the affine map that it is, from what stands at
// the embedding x0 [T, d] and what is written at each MLP output [T, d] (a skip
// adds its own) to all activations.
func (l *Local) Affine(x0 []float64, writes [][]float64) Acts {
	reads := make([][]float64, l.Layers)
	return l.Forward(l.Tokens, func(name string, x []float64) []float64 {
		switch {
		case frozen(name):
			return l.Clean[name]
		case name == "hook_embed":
			return x0
		case name == "hook_pos_embed":
			return make([]float64, len(x))
		}
		for layer := range l.Layers {
			if name == At(layer, l.CLT.Read) {
				reads[layer] = x
			}
			if name == At(layer, "hook_mlp_out") {
				y := append([]float64{}, writes[layer]...)
				if l.CLT.WSkip != nil {
					y = sum(y, linear(reads[layer], l.CLT.WSkip[layer], make([]float64, l.DModel)))
				}
				return y
			}
		}
		return x
	})
}
