package naive

import (
	"fmt"
	"math"
)

// Model is a GPT-2. W holds its weights by checkpoint name without the
// "transformer." prefix ("h.0.attn.c_attn.weight"), row-major; with no
// "lm_head.weight" the head is "wte.weight".
type Model struct {
	Layers, DModel, Heads, DMLP, Vocab int
	Eps                                float64 // added to the variance
	W                                  map[string][]float64
}

// Acts are activations by hook name, "logits" [T, V] among them. Shapes are those
// of the hooks without the batch axis: pattern and scores [H, query, key], q, k, v
// and z [T, H, d/H], scales [T, 1].
type Acts map[string][]float64

// Hook sees every activation in the order of the pass, which goes on with what
// the hook returns.
type Hook func(name string, x []float64) []float64

// pass is one forward pass.
type pass struct {
	*Model
	hook Hook
	acts Acts
	n    int // tokens
}

// Forward runs the model; hook may be nil. All activations, as they were after
// the hook, are returned.
func (m *Model) Forward(tokens []int32, hook Hook) Acts {
	p := &pass{m, hook, Acts{}, len(tokens)}
	d := m.DModel
	embed, pos := make([]float64, p.n*d), make([]float64, p.n*d)
	for i, t := range tokens {
		copy(embed[i*d:], m.W["wte.weight"][int(t)*d:][:d])
		copy(pos[i*d:], m.W["wpe.weight"][i*d:][:d])
	}
	x := sum(p.at("hook_embed", embed), p.at("hook_pos_embed", pos))
	for l := range m.Layers {
		x = p.in(l, "hook_resid_pre", x)
		x = p.in(l, "hook_resid_mid", sum(x, p.attention(l, x)))
		x = p.in(l, "hook_resid_post", sum(x, p.mlp(l, x)))
	}
	x = p.norm(x, "ln_final.", m.W["ln_f.weight"], m.W["ln_f.bias"])
	p.acts["logits"] = p.unembed(p.at("unembed.hook_pre", x))
	return p.acts
}

// at passes an activation through the hook and records it.
func (p *pass) at(name string, x []float64) []float64 {
	if p.hook != nil {
		x = p.hook(name, x)
	}
	p.acts[name] = x
	return x
}

func (p *pass) in(l int, site string, x []float64) []float64 { return p.at(At(l, site), x) }

// At is the name of a hook of one block: "blocks.3.hook_resid_mid".
func At(layer int, site string) string { return fmt.Sprintf("blocks.%d.%s", layer, site) }

// weight is a tensor of one block.
func (m *Model) weight(l int, name string) []float64 { return m.W[fmt.Sprintf("h.%d.%s", l, name)] }

// attention is the output [T, d] of a block's attention on its input x [T, d].
func (p *pass) attention(l int, x []float64) []float64 {
	d, width := p.DModel, p.DModel/p.Heads
	x = p.in(l, "attn.hook_in", p.norm(x, At(l, "ln1."), p.weight(l, "ln_1.weight"), p.weight(l, "ln_1.bias")))
	qkv := linear(x, p.weight(l, "attn.c_attn.weight"), p.weight(l, "attn.c_attn.bias"))
	var parts [3][]float64 // [T, H, d/H]
	for i, site := range []string{"attn.hook_q", "attn.hook_k", "attn.hook_v"} {
		part := make([]float64, p.n*d)
		for t := range p.n {
			copy(part[t*d:(t+1)*d], qkv[t*3*d+i*d:])
		}
		parts[i] = p.in(l, site, part)
	}
	q, k, v := parts[0], parts[1], parts[2]
	scores := make([]float64, p.Heads*p.n*p.n)
	for h := range p.Heads {
		for i := range p.n {
			for j := range p.n {
				s := &scores[(h*p.n+i)*p.n+j]
				if j > i {
					*s = -1e9
					continue
				}
				for c := range width {
					*s += q[i*d+h*width+c] * k[j*d+h*width+c] / math.Sqrt(float64(width))
				}
			}
		}
	}
	scores = p.in(l, "attn.hook_attn_scores", scores)
	pattern := p.in(l, "attn.hook_pattern", softmax(scores, p.n))
	z := make([]float64, p.n*d)
	for h := range p.Heads {
		for i := range p.n {
			for j := range p.n {
				for c := range width {
					z[i*d+h*width+c] += pattern[(h*p.n+i)*p.n+j] * v[j*d+h*width+c]
				}
			}
		}
	}
	z = p.in(l, "attn.hook_z", z)
	return p.in(l, "hook_attn_out", linear(z, p.weight(l, "attn.c_proj.weight"), p.weight(l, "attn.c_proj.bias")))
}

// mlp is the output [T, d] of a block's MLP on x [T, d].
func (p *pass) mlp(l int, x []float64) []float64 {
	x = p.in(l, "mlp.hook_in", p.norm(x, At(l, "ln2."), p.weight(l, "ln_2.weight"), p.weight(l, "ln_2.bias")))
	pre := p.in(l, "mlp.hook_pre", linear(x, p.weight(l, "mlp.c_fc.weight"), p.weight(l, "mlp.c_fc.bias")))
	post := make([]float64, len(pre))
	for i, v := range pre { // gelu_new
		post[i] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	}
	post = p.in(l, "mlp.hook_post", post)
	return p.in(l, "hook_mlp_out", linear(post, p.weight(l, "mlp.c_proj.weight"), p.weight(l, "mlp.c_proj.bias")))
}

// norm is a LayerNorm of x [T, d]; its divisor and quotient are hooks.
func (p *pass) norm(x []float64, prefix string, gain, bias []float64) []float64 {
	d := p.DModel
	scale, centred := make([]float64, p.n), make([]float64, len(x))
	for t := range p.n {
		copy(centred[t*d:], x[t*d:(t+1)*d])
		centre(centred[t*d : (t+1)*d])
		variance := 0.0
		for _, v := range centred[t*d : (t+1)*d] {
			variance += v * v / float64(d)
		}
		scale[t] = math.Sqrt(variance + p.Eps)
	}
	scale = p.at(prefix+"hook_scale", scale)
	y := make([]float64, len(x))
	for i, v := range centred {
		y[i] = v / scale[i/d]
	}
	y = p.at(prefix+"hook_normalized", y)
	out := make([]float64, len(x))
	for i, v := range y {
		out[i] = v*gain[i%d] + bias[i%d]
	}
	return out
}

// head is the unembedding [V, d].
func (m *Model) head() []float64 {
	if w := m.W["lm_head.weight"]; w != nil {
		return w
	}
	return m.W["wte.weight"]
}

func (p *pass) unembed(x []float64) []float64 {
	d, w := p.DModel, p.head()
	logits := make([]float64, p.n*p.Vocab)
	for i := range logits {
		logits[i] = dot(x[i/p.Vocab*d:][:d], w[i%p.Vocab*d:][:d])
	}
	return logits
}
