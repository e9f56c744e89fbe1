package engine

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Lens is the logit lens: what the model would say if a layer were its last
// (nostalgebraist 2020, "interpreting GPT: the logit lens"), and the direct
// attribution of one logit to the components that wrote it.
func (s *Service) Lens(ctx context.Context, req wire.LensRequest, report func(wire.Progress)) (out wire.LensResponse, err error) {
	m, _, err := s.model(req.Setup)
	if err != nil {
		return out, err
	}
	ids, err := encode(m, req.Prompt)
	if err != nil {
		return out, err
	}
	c, err := m.RunWithCache(ids, gpt2.HookEmbed, gpt2.HookPosEmbed, gpt2.HookLnFinalScale, "*hook_resid_pre", "*hook_resid_post", "*hook_attn_out", "*hook_mlp_out")
	if err != nil {
		return out, err
	}
	l, err := newLens(m)
	if err != nil {
		return out, err
	}
	pos := len(ids)
	answer := m.TopPredictions(c, -1, 1)[0].ID
	if req.Track != "" {
		if answer, err = oneToken(m, req.Track); err != nil {
			return out, err
		}
	}
	out = wire.LensResponse{TokensResponse: tokensOf(m, ids), Stages: []string{"embedding"}}
	streams := []gpt2.Array{c.Hooks[gpt2.ResidPre.At(0)]}
	for layer := range m.Config.Layers {
		out.Stages = append(out.Stages, fmt.Sprintf("layer %d", layer))
		streams = append(streams, c.Hooks[gpt2.ResidPost.At(layer)])
	}
	for i, stream := range streams {
		logits, err := l.logits(ctx, stream, pos)
		if err != nil {
			return out, err
		}
		var row []wire.Prediction
		for _, v := range logits {
			row = append(row, predictions(m.Top(v, 1))...)
		}
		last := logits[pos-1]
		out.Top = append(out.Top, row)
		out.Rank = append(out.Rank, rank(last, answer))
		p := math.Exp(gpt2.LogProbs(last)[answer])
		out.Prob = append(out.Prob, p)
		out.Answer = wire.Prediction{ID: answer, Token: m.TokenText(answer), Logit: last[answer], Prob: p}
		tell(report, wire.Progress{Phase: "lens", Done: i + 1, Total: len(streams)})
	}
	out.Parts, out.Centred = l.parts(c, answer)
	return out, nil
}

// oneToken reads a text that must be one token.
func oneToken(m *gpt2.Model, text string) (int32, error) {
	ids, err := m.Encode(text, false)
	if err != nil {
		return 0, err
	}
	if len(ids) != 1 {
		return 0, fmt.Errorf("engine: %q is %d tokens, not one; most words need their leading space", text, len(ids))
	}
	return ids[0], nil
}

// lens reads a residual stream out.
type lens struct {
	cfg        gpt2.Config
	gain, bias []float64 // of ln_f, [d_model]
	unembed    []float32 // [d_vocab, d_model]
	mean       []float64 // [d_model]: mean over the vocabulary
}

func newLens(m *gpt2.Model) (*lens, error) {
	v, err := m.Vectors()
	if err != nil {
		return nil, err
	}
	b, err := m.Weight("ln_f.bias")
	if err != nil {
		return nil, err
	}
	head, err := m.Unembed()
	if err != nil {
		return nil, err
	}
	return &lens{m.Config, v.LnFGain, b.Float64s(), head.Float32s(), v.MeanUnembed}, nil
}

// logits reads out the first n positions of a stream [pos, d_model].
func (l *lens) logits(ctx context.Context, stream gpt2.Array, n int) ([][]float64, error) {
	d := l.cfg.DModel
	normed, out := make([][]float32, n), make([][]float64, n)
	for p := range n {
		x := make([]float64, d)
		mean, square := 0.0, 0.0
		for i := range x {
			x[i] = stream.At(p*d + i)
			mean += x[i] / float64(d)
		}
		for i := range x {
			square += (x[i] - mean) * (x[i] - mean) / float64(d)
		}
		scale := math.Sqrt(square + l.cfg.LayerNormEps)
		normed[p], out[p] = make([]float32, d), make([]float64, l.cfg.DVocab)
		for i := range x {
			normed[p][i] = float32((x[i]-mean)/scale*l.gain[i] + l.bias[i])
		}
	}
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for v := w; v < l.cfg.DVocab && ctx.Err() == nil; v += workers {
				row := l.unembed[v*d : (v+1)*d]
				for p, x := range normed {
					var sum float32
					for i, u := range row {
						sum += u * x[i]
					}
					out[p][v] = float64(sum)
				}
			}
		})
	}
	wg.Wait()
	return out, ctx.Err()
}

// parts splits a token's centred logit at the last position by component: each
// wrote a vector into the stream, and with the divisor of ln_f fixed the readout
// is linear.
func (l *lens) parts(c *gpt2.Cache, token int32) (list []wire.LogitPart, centred float64) {
	d, last := l.cfg.DModel, len(c.Tokens)-1
	scale := c.Hooks[gpt2.HookLnFinalScale].At(last)
	direction := make([]float64, d) // of the stream in which the centred logit grows
	mean, bias := 0.0, 0.0
	for i := range direction {
		u := float64(l.unembed[int(token)*d+i]) - l.mean[i]
		direction[i] = u * l.gain[i] / scale
		mean += direction[i] / float64(d)
		bias += u * l.bias[i]
	}
	add := func(name string, a gpt2.Array) {
		sum := 0.0
		for i, v := range direction {
			sum += (v - mean) * a.At(last*d+i)
		}
		list = append(list, wire.LogitPart{Name: name, Value: sum})
	}
	add("token", c.Hooks[gpt2.HookEmbed])
	add("position", c.Hooks[gpt2.HookPosEmbed])
	for layer := range l.cfg.Layers {
		add(fmt.Sprintf("attention %d", layer), c.Hooks[gpt2.AttnOut.At(layer)])
		add(fmt.Sprintf("MLP %d", layer), c.Hooks[gpt2.MLPOut.At(layer)])
	}
	list = append(list, wire.LogitPart{Name: "bias", Value: bias})
	logits := logitRow(c.Logits, last)
	for _, x := range logits {
		centred -= x / float64(len(logits))
	}
	return list, centred + logits[token]
}

// rank is the place of a token by logit, from 1.
func rank(logits []float64, token int32) int {
	n := 1
	for i, x := range logits {
		if x > logits[token] || x == logits[token] && int32(i) < token {
			n++
		}
	}
	return n
}
