package toy

import (
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// direction is one logical direction of the residual stream: the dimensions 2j
// and 2j+1 with opposite signs.
type direction int

// read maps directions to how strongly each is read or written.
type read map[direction]float64

// wiring builds a model by hand.
type wiring struct {
	cfg     gpt2.Config
	p       gpt2.Params
	channel map[[2]int]int // next free channel of (layer, head)
}

// newWiring starts a model of zeros whose LayerNorms divide by sqrt(Σc²/directions
// + eps) for a stream of coefficients c, and whose neurons are off.
func newWiring(layers, directions, neurons, vocab int, eps float64) *wiring {
	cfg := gpt2.Config{Layers: layers, DModel: 2 * directions, Heads: 2, DMLP: neurons, DVocab: vocab, Context: 8,
		LayerNormEps: eps, TieEmbeddings: false, BOS: 0}
	w := &wiring{cfg: cfg, p: gpt2.Params{}, channel: map[[2]int]int{}}
	for name, shape := range gpt2.WeightShapes(cfg) {
		w.p[name] = gpt2.NewArray(shape, true)
	}
	for l := range layers {
		for i := range cfg.DModel {
			w.at(l, "ln_1.weight")[i], w.at(l, "ln_2.weight")[i] = 1, 1
		}
		for n := range neurons {
			w.at(l, "mlp.c_fc.bias")[n] = -64
		}
	}
	for i := range cfg.DModel {
		w.p["ln_f.weight"].F64[i] = 1
	}
	return w
}

func (w *wiring) at(l int, name string) []float64 { return w.p[fmt.Sprintf("h.%d.%s", l, name)].F64 }

// token embeds a token as a sum of directions.
func (w *wiring) token(id int, c read) {
	for j, v := range c {
		e := w.p["wte.weight"].F64[id*w.cfg.DModel:]
		e[2*j], e[2*j+1] = v, -v
	}
}

// unembed makes a token's logit u times the normalised coefficient of a direction.
func (w *wiring) unembed(id int, j direction, u float64) {
	e := w.p["lm_head.weight"].F64[id*w.cfg.DModel:]
	e[2*j], e[2*j+1] = u/2, -u/2
}

// column sets what one column of c_attn reads: v times the direction's coefficient.
func (w *wiring) column(l, col int, j direction, v float64) {
	a, width := w.at(l, "attn.c_attn.weight"), 3*w.cfg.DModel
	a[2*int(j)*width+col], a[(2*int(j)+1)*width+col] = v/2, -v/2
}

// next is the head's next free channel.
func (w *wiring) next(l, head int) int {
	k := [2]int{l, head}
	w.channel[k]++
	return head*w.cfg.DHead() + w.channel[k] - 1
}

// move makes a head copy a direction of what it attends to, times scale, into
// another direction.
func (w *wiring) move(l, head int, from, to direction, scale float64) {
	c := w.next(l, head)
	w.column(l, 2*w.cfg.DModel+c, from, scale)
	out := w.at(l, "attn.c_proj.weight")[c*w.cfg.DModel:]
	out[2*to], out[2*to+1] = 1, -1
}

// attend gives a head the score q·k of the query's and the key's coefficients;
// scores are divided by sqrt(d_head), so q·k is s·sqrt(d_head) for a score of s.
func (w *wiring) attend(l, head int, query, key direction, q, k float64) {
	c := w.next(l, head)
	w.column(l, c, query, q)
	w.column(l, w.cfg.DModel+c, key, k)
}

// neuron makes a neuron read directions and a bias, and write directions.
func (w *wiring) neuron(l, n int, in read, bias float64, out read) {
	fc, proj := w.at(l, "mlp.c_fc.weight"), w.at(l, "mlp.c_proj.weight")
	for j, v := range in {
		fc[2*int(j)*w.cfg.DMLP+n], fc[(2*int(j)+1)*w.cfg.DMLP+n] = v/2, -v/2
	}
	w.at(l, "mlp.c_fc.bias")[n] = bias
	for j, v := range out {
		row := proj[n*w.cfg.DModel:]
		row[2*j], row[2*j+1] = v, -v
	}
}

// Compile is the transcoder that a ReLU MLP is: one feature for each neuron,
// encoders the MLP's input weights, decoders its output weights, to its own layer
// alone (method: 13.18). It decodes the MLPs without error if they are ReLU.
func Compile(cfg gpt2.Config, p gpt2.Params) *clt.Transcoder {
	c := clt.Config{Layers: cfg.Layers, DModel: cfg.DModel, Features: cfg.DMLP, Activation: clt.ActReLU, Read: gpt2.MLPIn, Model: "toy"}
	t := &clt.Transcoder{Config: c}
	for l := range cfg.Layers {
		get := func(name string) []float32 { return p[fmt.Sprintf("h.%d.mlp.%s", l, name)].Float32s() }
		fc, proj := get("c_fc.weight"), get("c_proj.weight")
		enc, dec := make([]float32, len(fc)), make([]float32, c.Features*c.Targets(l)*c.DModel)
		for f := range c.Features {
			for i := range c.DModel {
				enc[f*c.DModel+i] = fc[i*c.Features+f]
				dec[f*c.Targets(l)*c.DModel+i] = proj[f*c.DModel+i]
			}
		}
		t.WEnc, t.BEnc = append(t.WEnc, enc), append(t.BEnc, get("c_fc.bias"))
		t.WDec, t.BDec = append(t.WDec, dec), append(t.BDec, get("c_proj.bias"))
	}
	return t
}
