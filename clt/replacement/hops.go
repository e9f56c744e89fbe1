package replacement

import (
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// downInputs are the inputs of a step down that do not depend on its rows.
type downInputs struct {
	hop     []any // pattern, W_O, value matrix
	sources []any // what is written, and the skip
}

// downInputs makes the inputs of a layer for the first positions of the prompt, and
// keeps them while steps with as many positions follow.
func (b *builder) downInputs(l, pos int) (downInputs, error) {
	if b.downPos != pos || b.downAt == nil {
		b.freeInputs()
		b.downAt, b.downPos = map[int]downInputs{}, pos
	}
	if in, ok := b.downAt[l]; ok {
		return in, nil
	}
	value, proj, err := b.hopWeights(l, !b.LM.CompilesShapes())
	if err != nil {
		return downInputs{}, err
	}
	in := downInputs{hop: []any{b.dividedPattern(l, 0, pos, true), proj, value}, sources: []any{b.resident(beginning(b.sources[l], pos))}}
	if b.CLT.Skip {
		ln2, err := b.LM.WeightTensors(l, "ln_2.weight")
		if err != nil {
			return in, err
		}
		in.sources = append(in.sources, b.frozenInputs()[3+3*l], ln2[0], b.skipTensors()[l])
	}
	b.downAt[l] = in
	return in, nil
}

func (b *builder) freeInputs() {
	for _, in := range b.downAt {
		free(in.hop[0], in.sources[0])
	}
	b.downAt = nil
}

// dividedPattern is the frozen pattern of a layer over the ln_1 divisor of each key,
// for the positions from start on and before end: [head, query, key], or [head, key,
// query] if it is turned. Positions behind the prompt are zero.
func (l *Local) dividedPattern(layer, start, end int, turned bool) *tensors.Tensor {
	heads, n, pos := l.LM.Config.Heads, len(l.Tokens), end-start
	a := gpt2.NewArray([]int{heads, pos, pos}, l.LM.Double)
	for h := range heads {
		for q := start; q < min(n, end); q++ {
			for k := start; k <= q; k++ {
				to := (h*pos+q-start)*pos + k - start
				if turned {
					to = (h*pos+k-start)*pos + q - start
				}
				set(a, to, l.pattern[layer].At((h*n+q)*n+k)/l.scale1[layer].At(k))
			}
		}
	}
	return l.resident(a)
}

// hopKey names the matrices of one layer's attention.
type hopKey struct {
	layer  int
	turned bool
}

// hopWeights are the value matrix W_V of a layer with gain and centring of ln_1 in
// it, [d_model, head·d_head]: row i is gain_i·W_V[i] minus the mean of all such rows;
// and W_O, [head·d_head, d_model]. Turned they are transposed: the Go backend
// multiplies faster by matrices that stand so.
func (m *Model) hopWeights(layer int, turned bool) (value, proj *tensors.Tensor, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := hopKey{layer, turned}
	if w, ok := m.hops[key]; ok {
		return w[0], w[1], nil
	}
	w, err := m.hostHeads(layer)
	if err != nil {
		return nil, nil, err
	}
	d := m.LM.Config.DModel
	rows, mean := gpt2.NewArray([]int{d, d}, m.LM.Double), make([]float64, d)
	gain := w.ln1.Float64s()
	for i := range d {
		for j := range d {
			v := gain[i] * w.attn.At((3*i+2)*d+j)
			set(rows, i*d+j, v)
			mean[j] += v / float64(d)
		}
	}
	for i := range d {
		for j := range d {
			set(rows, i*d+j, gain[i]*w.attn.At((3*i+2)*d+j)-mean[j])
		}
	}
	list, err := m.LM.WeightTensors(layer, "attn.c_proj.weight")
	if err != nil {
		return nil, nil, err
	}
	proj = list[0]
	if turned {
		rows, proj = transposed(rows), m.resident(transposed(w.proj))
	}
	value = m.resident(rows)
	if m.hops == nil {
		m.hops = map[hopKey][2]*tensors.Tensor{}
	}
	m.hops[key] = [2]*tensors.Tensor{value, proj}
	return value, proj, nil
}

// transposed is a square matrix turned.
func transposed(a gpt2.Array) gpt2.Array {
	n := a.Shape[0]
	out := gpt2.NewArray([]int{n, n}, a.F64 != nil)
	for i := range n {
		for j := range n {
			set(out, j*n+i, a.At(i*n+j))
		}
	}
	return out
}
