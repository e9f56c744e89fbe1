package naive

import "fmt"

// Target is what a row explains: the pre-activation of a feature, or a direction
// at the unembedding.
type Target struct {
	Feature           bool
	Layer, Pos, Index int       // of the feature; a direction uses Pos alone
	Direction         []float64 // [V]: logit = Σ direction·unembedding columns
}

// LogitTarget is a token's logit minus the mean logit.
func (m *Model) LogitTarget(pos, token int) Target {
	dir := make([]float64, m.Vocab)
	for i := range dir {
		dir[i] = -1 / float64(m.Vocab)
	}
	dir[token]++
	return Target{Pos: pos, Direction: dir}
}

// Row is one target's edges. Their sum and the bias are its value.
type Row struct {
	Features  []float64 // in the order of Local.Active
	Errors    []float64 // [L, T]
	Tokens    []float64 // [T]
	Positions []float64 // [T]
	Bias      float64
	Value     float64
}

// Sum adds up the row.
func (r Row) Sum() float64 {
	s := r.Bias
	for _, part := range [][]float64{r.Features, r.Errors, r.Tokens, r.Positions} {
		for _, v := range part {
			s += v
		}
	}
	return s
}

// Row carries the target's vector from where it reads down to the embedding and
// meets every source on the way:
//
//	edge(target <- source) = Σ_l <g_l, what the source writes at MLP output l>
func (l *Local) Row(t Target) Row {
	d, n := l.DModel, len(l.Tokens)
	r := Row{Features: make([]float64, len(l.Active)), Errors: make([]float64, l.Layers*n),
		Tokens: make([]float64, n), Positions: make([]float64, n)}
	g := make([]float64, n*d) // of the residual stream after the block
	if t.Feature {
		r.Bias, r.Value = l.CLT.BEnc[t.Layer][t.Index], l.Pre[t.Layer][t.Pos*l.CLT.Features+t.Index]
	} else {
		l.injectDirection(t, g, &r)
	}
	for layer := l.Layers - 1; layer >= 0; layer-- {
		l.meet(layer, g, &r)
		if l.CLT.WSkip != nil {
			l.skipTranspose(layer, g, &r)
		}
		if t.Feature && t.Layer == layer {
			x := append([]float64{}, l.CLT.Encoder(layer, t.Index)...)
			r.Bias += l.readTranspose(layer, t.Pos, x)
			addTo(g[t.Pos*d:][:d], x, 1)
		}
		l.attentionTranspose(layer, g, &r)
	}
	for p, tok := range l.Tokens {
		r.Tokens[p] = dot(g[p*d:][:d], l.W["wte.weight"][int(tok)*d:][:d])
		r.Positions[p] = dot(g[p*d:][:d], l.W["wpe.weight"][p*d:][:d])
	}
	return r
}

func (l *Local) injectDirection(t Target, g []float64, r *Row) {
	d := l.DModel
	u := make([]float64, d)
	for v, k := range t.Direction {
		addTo(u, l.head()[v*d:][:d], k)
		r.Value += k * l.Clean["logits"][t.Pos*l.Vocab+v]
	}
	r.Bias = dot(u, l.W["ln_f.bias"])
	l.normTranspose(u, l.W["ln_f.weight"], l.Clean["ln_final.hook_scale"][t.Pos])
	addTo(g[t.Pos*d:][:d], u, 1)
}

// meet contracts the stream with what the sources write at one MLP output.
func (l *Local) meet(layer int, g []float64, r *Row) {
	d := l.DModel
	for i, a := range l.Active {
		if w := l.CLT.Decoder(a.Layer, a.Index, layer); w != nil {
			r.Features[i] += a.Value * dot(g[a.Pos*d:][:d], w)
		}
	}
	for p := range l.Tokens {
		r.Errors[layer*len(l.Tokens)+p] = dot(g[p*d:][:d], l.Errors[layer][p*d:][:d])
		r.Bias += dot(g[p*d:][:d], l.CLT.BDec[layer])
	}
}

// normTranspose is the transpose of a LayerNorm with a constant divisor, in
// place: times gain, divided, centred.
func (l *Local) normTranspose(x, gain []float64, scale float64) {
	for i := range x {
		if gain != nil {
			x[i] *= gain[i]
		}
		x[i] /= scale
	}
	centre(x)
}

// readTranspose carries a vector at the encoders' read point to hook_resid_mid,
// in place, and returns what the constants on the way add.
func (l *Local) readTranspose(layer, pos int, x []float64) (bias float64) {
	scale := l.Clean[At(layer, "ln2.hook_scale")][pos]
	switch l.CLT.Read {
	case "mlp.hook_in":
		bias = dot(x, l.weight(layer, "ln_2.bias"))
		l.normTranspose(x, l.weight(layer, "ln_2.weight"), scale)
	case "ln2.hook_normalized":
		l.normTranspose(x, nil, scale)
	case "hook_resid_mid":
	default:
		panic(fmt.Errorf("naive: encoders read %q, which is no read point", l.CLT.Read))
	}
	return bias
}

func (l *Local) skipTranspose(layer int, g []float64, r *Row) {
	d := l.DModel
	for p := range l.Tokens {
		x := make([]float64, d)
		for i := range x {
			x[i] = dot(l.CLT.WSkip[layer][i*d:][:d], g[p*d:][:d])
		}
		r.Bias += l.readTranspose(layer, p, x)
		addTo(g[p*d:][:d], x, 1)
	}
}

// attentionTranspose adds to g what it becomes through the block's heads.
func (l *Local) attentionTranspose(layer int, g []float64, r *Row) {
	d, n, width := l.DModel, len(l.Tokens), l.DModel/l.Heads
	out, attn := l.weight(layer, "attn.c_proj.weight"), l.weight(layer, "attn.c_attn.weight") // [d, d], [d, 3d]
	pattern := l.Clean[At(layer, "attn.hook_pattern")]
	biasV := l.weight(layer, "attn.c_attn.bias")[2*d:]
	in := make([]float64, n*d) // at attn.hook_in
	for q := range n {
		gq := g[q*d:][:d]
		r.Bias += dot(gq, l.weight(layer, "attn.c_proj.bias"))
		for h := range l.Heads {
			for c := range width {
				z := dot(gq, out[(h*width+c)*d:][:d])
				r.Bias += z * biasV[h*width+c] // pattern rows sum to 1
				for k := range n {
					for i := range d {
						in[k*d+i] += pattern[(h*n+q)*n+k] * z * attn[i*3*d+2*d+h*width+c]
					}
				}
			}
		}
	}
	for k := range n {
		x := in[k*d:][:d]
		r.Bias += dot(x, l.weight(layer, "ln_1.bias"))
		l.normTranspose(x, l.weight(layer, "ln_1.weight"), l.Clean[At(layer, "ln1.hook_scale")][k])
	}
	addTo(g, in, 1)
}
