package replacement

import (
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// hostHeadWeights are the weights of one layer's attention on the host.
type hostHeadWeights struct {
	ln1  gpt2.Array // [d_model] gain
	attn gpt2.Array // [d_model, 3·d_model]: c_attn
	proj gpt2.Array // [d_model, d_model]: c_proj
	ln2  gpt2.Array // [d_model] gain
}

func (m *Model) hostHeads(layer int) (w hostHeadWeights, err error) {
	list, err := m.LM.WeightTensors(layer, "ln_1.weight", "attn.c_attn.weight", "attn.c_proj.weight", "ln_2.weight")
	if err != nil {
		return w, err
	}
	for i, dst := range []*gpt2.Array{&w.ln1, &w.attn, &w.proj, &w.ln2} {
		if *dst, err = gpt2.FromTensor(list[i]); err != nil {
			return w, err
		}
	}
	return w, nil
}

// headStreams is what each head of a layer makes of a vector at one query
// position, [head, pos, d_model] at hook_resid_pre:
//
//	LN1ᵀ( pattern[h, query, key] · W_V^h W_O^h vec )  at every key
func (b *builder) headStreams(w hostHeadWeights, layer, query int, vec []float64) gpt2.Array {
	d, heads, width, length := b.CLT.DModel, b.LM.Config.Heads, b.LM.Config.DHead(), len(b.Tokens)
	pos := b.streamLength(query)
	out := gpt2.NewArray([]int{heads, pos, d}, b.LM.Double)
	for h := range heads {
		z, in := make([]float64, width), make([]float64, d)
		for c := range width {
			for j, v := range vec {
				z[c] += v * w.proj.At((h*width+c)*d+j)
			}
		}
		for i := range in {
			for c, v := range z {
				in[i] += v * w.attn.At(i*3*d+2*d+h*width+c)
			}
		}
		hostNormTranspose(in, w.ln1.Float64s(), 1)
		for key := range query + 1 {
			p := b.pattern[layer].At((h*length+query)*length+key) / b.scale1[layer].At(key)
			for i, v := range in {
				set(out, (h*pos+key)*d+i, p*v)
			}
		}
	}
	return out
}

// addSkip adds to a vector at one position what it becomes through the skip of the
// layer.
func (b *builder) addSkip(w hostHeadWeights, layer, pos int, vec []float64) {
	d := b.CLT.DModel
	in := make([]float64, d)
	for i := range in {
		for j, v := range vec {
			in[i] += float64(b.CLT.WSkip[layer][i*d+j]) * v
		}
	}
	switch b.CLT.Read {
	case gpt2.MLPIn:
		hostNormTranspose(in, w.ln2.Float64s(), b.scale2[layer].At(pos))
	case gpt2.Ln2Normalized:
		hostNormTranspose(in, nil, b.scale2[layer].At(pos))
	}
	for i, v := range in {
		vec[i] += v
	}
}
