package replacement

import (
	"fmt"
	"slices"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// makeRows prepares every target: its vector in the residual stream, its bias
// and its value.
func (b *builder) makeRows() error {
	biasFinal, biasReads, err := b.biasPass()
	if err != nil {
		return err
	}
	params, err := b.LM.Vectors()
	if err != nil {
		return err
	}
	head, err := b.headRows()
	if err != nil {
		return err
	}
	for _, a := range b.Active {
		b.feature = append(b.feature, b.featureRow(params, biasReads, a.Layer, a.Pos, a.Index))
	}
	if slices.ContainsFunc(b.cfg.Targets, func(t Target) bool { return t.Vector != nil }) {
		hooks, err := b.LM.RunHooks(gpt2.Program{}, [][]int32{b.Tokens}, gpt2.HookUnembedPre)
		if err != nil {
			return err
		}
		b.clean = hooks[gpt2.HookUnembedPre]
	}
	for _, t := range b.cfg.Targets {
		pos := t.Pos
		if pos < 0 {
			pos = len(b.Tokens) - 1
		}
		if pos >= len(b.Tokens) {
			return refused("attribute: target %s is at position %d; the prompt has %d tokens", t.Label, t.Pos, len(b.Tokens))
		}
		if t.Feature != nil {
			b.target = append(b.target, b.featureRow(params, biasReads, t.Feature.Layer, pos, t.Feature.Index))
			continue
		}
		b.target = append(b.target, b.logitRowOf(params, head, biasFinal, t, pos))
	}
	return nil
}

// headRows are the rows of the output head that the targets need, by token.
func (b *builder) headRows() (map[int32][]float64, error) {
	rows, d, vocab := map[int32][]float64{}, b.CLT.DModel, b.LM.Config.DVocab
	var ids []int32
	for _, t := range b.cfg.Targets {
		for _, w := range t.Tokens {
			if w.ID < 0 || int(w.ID) >= vocab {
				return nil, refused("attribute: target token %d is not in the vocabulary; ids are 0..%d", w.ID, vocab-1)
			}
			if _, ok := rows[w.ID]; !ok {
				ids = append(ids, w.ID)
				rows[w.ID] = nil
			}
		}
	}
	if len(ids) == 0 {
		return rows, nil
	}
	a, err := b.LM.UnembedRows(ids)
	if err != nil {
		return nil, err
	}
	all := a.Float64s()
	for i, id := range ids {
		rows[id] = all[i*d:][:d]
	}
	return rows, nil
}

// biasPass is the frozen model with nothing but its constants: no embeddings,
// every MLP output what the transcoder decodes to without features. It is an
// independent forward computation, so that the row identity proves the sweep. final
// is what is unembedded, [batch, pos, d_model].
func (l *Local) biasPass() (final gpt2.Array, reads []gpt2.Array, err error) {
	writes := make([]gpt2.Array, l.CLT.Layers)
	for i, bias := range l.CLT.BDec {
		writes[i] = gpt2.NewArray([]int{1, l.length(), l.CLT.DModel}, l.LM.Double)
		for p := range l.length() {
			addScaled(writes[i], p*l.CLT.DModel, bias, 1)
		}
	}
	return l.affineTo(gpt2.NewArray([]int{1, l.length(), l.CLT.DModel}, l.LM.Double), writes, nil, false)
}

// affine runs the frozen model on what stands at the embedding [batch, pos,
// d_model], what is written at each MLP output and, unless mids is nil, what is
// added at each hook_resid_mid, all at bucket length.
func (l *Local) affine(x0 gpt2.Array, writes, mids []gpt2.Array) (logits gpt2.Array, reads []gpt2.Array, err error) {
	return l.affineTo(x0, writes, mids, true)
}

// affineTo is affine; without head it gives what is unembedded in place of logits.
func (l *Local) affineTo(x0 gpt2.Array, writes, mids []gpt2.Array, head bool) (logits gpt2.Array, reads []gpt2.Array, err error) {
	key := fmt.Sprintf("affine|%v,%v|%s", mids != nil, head, l.programKey())
	exec, err := gpt2.Compiled(l.LM, key, affineGraph(l.LM.Config, l.CLT.Config, mids != nil, head))
	if err != nil {
		return logits, nil, err
	}
	var in []any
	for _, t := range l.frozenInputs() {
		in = append(in, t)
	}
	in = append(in, l.tokensTensor(), x0.Tensor(l.LM.Double))
	for _, w := range append(slices.Clone(writes), mids...) {
		in = append(in, w.Tensor(l.LM.Double))
	}
	for _, t := range l.skipTensors() {
		in = append(in, t)
	}
	out, err := exec.Call(in...)
	if err != nil {
		return logits, nil, fmt.Errorf("replacement: frozen pass: %w", err)
	}
	for i, t := range out {
		a, err := gpt2.TakeTensor(t)
		if err != nil {
			return logits, nil, err
		}
		if i == 0 {
			logits = a
		} else {
			reads = append(reads, a)
		}
	}
	return logits, reads, nil
}

// featureRow is the row of the feature's pre-activation at (layer, pos).
func (b *builder) featureRow(v *gpt2.Vectors, biasReads []gpt2.Array, layer, pos, index int) row {
	d := b.CLT.DModel
	enc := b.CLT.WEnc[layer][index*d:][:d]
	r := row{layer: layer, pos: pos, vec: make([]float64, d), bias: float64(b.CLT.BEnc[layer][index]),
		value: b.pre[layer].At(pos*b.CLT.Features + index)}
	for i, w := range enc {
		r.vec[i] = float64(w)
		r.bias += float64(w) * biasReads[layer].At(pos*d+i)
	}
	switch b.CLT.Read {
	case gpt2.MLPIn:
		hostNormTranspose(r.vec, v.Ln2Gain[layer], b.scale2[layer].At(pos))
	case gpt2.Ln2Normalized:
		hostNormTranspose(r.vec, nil, b.scale2[layer].At(pos))
	}
	return r
}

// logitRowOf is the row of a direction at the unembedding. head has the rows of its
// tokens, final what the constants give to be unembedded.
func (b *builder) logitRowOf(v *gpt2.Vectors, head map[int32][]float64, final gpt2.Array, t Target, pos int) row {
	d, vocab := b.CLT.DModel, b.LM.Config.DVocab
	r := row{layer: b.LM.Config.Layers, pos: pos, vec: make([]float64, d)}
	mean := 0.0
	if t.Demean {
		for i := range vocab {
			mean += b.Logits.At(pos*vocab+i) / float64(vocab)
		}
	}
	for _, w := range t.Tokens {
		for i, u := range head[w.ID] {
			if t.Demean {
				u -= v.MeanUnembed[i]
			}
			r.vec[i] += w.Scale * u
		}
		r.value += w.Scale * (b.Logits.At(pos*vocab+int(w.ID)) - mean)
	}
	for i, u := range t.Vector {
		r.vec[i] += u
		r.value += u * b.clean.At(pos*d+i)
	}
	for i, u := range r.vec {
		r.bias += u * final.At(pos*d+i)
	}
	hostNormTranspose(r.vec, v.LnFGain, b.scaleF.At(pos))
	return r
}

// hostNormTranspose is normTranspose on one vector, in place.
func hostNormTranspose(x, gain []float64, scale float64) {
	mean := 0.0
	for i := range x {
		if gain != nil {
			x[i] *= gain[i]
		}
		x[i] /= scale
		mean += x[i] / float64(len(x))
	}
	for i := range x {
		x[i] -= mean
	}
}
