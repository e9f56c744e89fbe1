package features

import (
	"context"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// effects says what features write and read, from the weights alone.
type effects struct {
	m                *gpt2.Model
	t                *clt.Transcoder
	v                *gpt2.Vectors
	scores, logits   *graph.Exec
	unembed          *tensors.Tensor
	raw, extended    *tensors.Tensor // [d_vocab, d_model]
	logitN, byLayerN int
}

// effect is what one feature writes and reads.
type effect struct {
	top, bottom   []scored
	targets       []target
	raw, extended []scored
}

// target is what a feature writes to one layer.
type target struct {
	norm        float64
	top, bottom []scored
}

// scored is a token with a number.
type scored struct {
	id    int32
	value float32
}

func newEffects(m *gpt2.Model, t *clt.Transcoder, cfg Config) (e *effects, err error) {
	e = &effects{m: m, t: t, logitN: cfg.Logits, byLayerN: cfg.ByLayer}
	defer func() {
		if err != nil {
			e.free()
		}
	}()
	if e.v, err = m.Vectors(); err != nil {
		return nil, err
	}
	if e.scores, err = gpt2.Plain(m, "features scores", scoresGraph); err != nil {
		return nil, err
	}
	if e.logits, err = gpt2.Plain(m, "features logits", logitsGraph); err != nil {
		return nil, err
	}
	shape := []int{m.Config.DVocab, m.Config.DModel}
	head, err := m.Unembed()
	if err != nil {
		return nil, err
	}
	e.unembed = tensors.FromFlatDataAndDimensions(head.Float32s(), shape...)
	raw, extended, err := embeddings(m)
	if err != nil {
		return nil, err
	}
	if t.Read != gpt2.ResidMid {
		divide(extended, m.Config.DModel, m.Config.LayerNormEps)
	}
	e.raw, e.extended = tensors.FromFlatDataAndDimensions(raw, shape...), tensors.FromFlatDataAndDimensions(extended, shape...)
	return e, nil
}

func (e *effects) free() {
	for _, t := range []*tensors.Tensor{e.unembed, e.raw, e.extended} {
		if t != nil {
			_ = t.FinalizeAll()
		}
	}
}

// embeddings are the token embeddings, raw and after the first MLP, without position
// and attention: [d_vocab, d_model].
func embeddings(m *gpt2.Model) (raw, extended []float32, err error) {
	const rows = 1024
	program := gpt2.Program{Key: "features: without context", Hook: withoutContext}
	last := gpt2.ResidPost.At(0)
	for lo := 0; lo < m.Config.DVocab; lo += rows {
		prompts := make([][]int32, min(rows, m.Config.DVocab))
		for i := range prompts { // the last batch repeats tokens: one shape for all
			prompts[i] = []int32{int32(min(lo+i, m.Config.DVocab-1))}
		}
		hooks, err := m.RunHooks(program, prompts, gpt2.HookEmbed, last)
		if err != nil {
			return nil, nil, err
		}
		n := min(rows, m.Config.DVocab-lo) * m.Config.DModel
		raw = append(raw, hooks[gpt2.HookEmbed].Float32s()[:n]...)
		extended = append(extended, hooks[last].Float32s()[:n]...)
	}
	return raw, extended, nil
}

// divide is the divisor of a LayerNorm: encoders behind ln_2 would see a stream that
// held nothing but the row. What the first MLP makes of a token has any length.
func divide(rows []float32, d int, eps float64) {
	for lo := 0; lo < len(rows); lo += d {
		row := rows[lo : lo+d]
		mean, variance := 0.0, 0.0
		for _, v := range row {
			mean += float64(v) / float64(d)
		}
		for _, v := range row {
			variance += (float64(v) - mean) * (float64(v) - mean) / float64(d)
		}
		scale := float32(1 / math.Sqrt(variance+eps))
		for i := range row {
			row[i] *= scale
		}
	}
}

// layer computes the effects of all features of a layer.
func (e *effects) layer(ctx context.Context, l int) ([]effect, error) {
	list := make([]effect, e.t.Features)
	targets := e.t.Targets(l)
	for f := range list {
		list[f].targets = make([]target, targets)
		for k := range targets {
			list[f].targets[k].norm = norm(e.t.DecoderVector(clt.Feature{Layer: l, Index: f}, k))
		}
	}
	sum := func(f int) []float64 { return e.t.Written(clt.Feature{Layer: l, Index: f}, e.t.Layers) }
	if err := e.each(ctx, e.logits, e.unembed, e.behindNorm(sum), func(f int, row []float32) {
		list[f].top, list[f].bottom = ends(row, e.logitN)
	}); err != nil {
		return nil, err
	}
	for k := range targets {
		if targets == 1 || e.byLayerN == 0 { // one layer is the whole
			for f := range list {
				n := min(e.byLayerN, len(list[f].top))
				list[f].targets[k].top, list[f].targets[k].bottom = list[f].top[:n], list[f].bottom[:n]
			}
			continue
		}
		part := func(f int) []float64 {
			return float64s(e.t.DecoderVector(clt.Feature{Layer: l, Index: f}, k))
		}
		if err := e.each(ctx, e.logits, e.unembed, e.behindNorm(part), func(f int, row []float32) {
			list[f].targets[k].top, list[f].targets[k].bottom = ends(row, e.byLayerN)
		}); err != nil {
			return nil, err
		}
	}
	read := func(f int) []float64 { return e.t.ReadVector(e.v, clt.Feature{Layer: l, Index: f}) }
	if err := e.each(ctx, e.scores, e.raw, read, func(f int, row []float32) { list[f].raw, _ = ends(row, e.logitN) }); err != nil {
		return nil, err
	}
	if l == 0 {
		return list, nil // reads before the first MLP
	}
	return list, e.each(ctx, e.scores, e.extended, read, func(f int, row []float32) { list[f].extended, _ = ends(row, e.logitN) })
}

// behindNorm brings what is written to the residual stream before the unembedding:
// centred, times the gain of ln_f.
func (e *effects) behindNorm(vector func(f int) []float64) func(f int) []float64 {
	return func(f int) []float64 {
		x := vector(f)
		mean := 0.0
		for _, v := range x {
			mean += v / float64(len(x))
		}
		for i := range x {
			x[i] = (x[i] - mean) * e.v.LnFGain[i]
		}
		return x
	}
}

// each multiplies a vector of every feature with a table and hands out the rows.
func (e *effects) each(ctx context.Context, exec *graph.Exec, table *tensors.Tensor, vector func(f int) []float64, take func(f int, row []float32)) error {
	d, vocab := e.t.DModel, e.m.Config.DVocab
	rows := min(e.t.Features, max(16, 64<<20/(4*vocab)))
	flat := make([]float32, rows*d)
	for lo := 0; lo < e.t.Features; lo += rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := min(lo+rows, e.t.Features)
		for f := lo; f < hi; f++ {
			for i, v := range vector(f) {
				flat[(f-lo)*d+i] = float32(v)
			}
		}
		in := tensors.FromFlatDataAndDimensions(flat, rows, d)
		out, err := exec.Call(in, table)
		_ = in.FinalizeAll()
		if err != nil {
			return fmt.Errorf("features: logits: %w", err)
		}
		err = tensors.ConstFlatData(out[0], func(x []float32) {
			for f := lo; f < hi; f++ {
				take(f, x[(f-lo)*vocab:][:vocab])
			}
		})
		finalize(out)
		if err != nil {
			return fmt.Errorf("features: logits: %w", err)
		}
	}
	return nil
}

// ends are the n largest and the n smallest entries, lower tokens first among equals.
func ends(row []float32, n int) (top, bottom []scored) {
	n = min(n, len(row))
	if n == 0 {
		return nil, nil
	}
	put := func(list []scored, s scored, before func(a, b float32) bool) []scored {
		if len(list) == n {
			if !before(s.value, list[n-1].value) {
				return list
			}
			list = list[:n-1]
		}
		at := len(list)
		for at > 0 && before(s.value, list[at-1].value) {
			at--
		}
		list = append(list, scored{})
		copy(list[at+1:], list[at:])
		list[at] = s
		return list
	}
	more := func(a, b float32) bool { return a > b }
	less := func(a, b float32) bool { return a < b }
	top, bottom = make([]scored, 0, n), make([]scored, 0, n)
	high, low := float32(math.Inf(-1)), float32(math.Inf(1))
	for i, v := range row {
		if v > high || len(top) < n {
			if top = put(top, scored{int32(i), v}, more); len(top) == n {
				high = top[n-1].value
			}
		}
		if v < low || len(bottom) < n {
			if bottom = put(bottom, scored{int32(i), v}, less); len(bottom) == n {
				low = bottom[n-1].value
			}
		}
	}
	return top, bottom
}

func norm(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func float64s(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
