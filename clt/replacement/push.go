package replacement

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// The three kinds of vectors that are pushed into the stream.
const (
	PushEncoder = "encoder" // what a feature of the next layer reads
	PushFeature = "feature" // what a feature of this layer writes
	PushRandom  = "random"
)

// push is a vector that is added to the MLP output of a layer at one position.
type push struct {
	kind       string
	layer, pos int
	vector     []float64
}

// PushAnswer compares what the model makes of a push (attention frozen, LayerNorms
// and MLPs live) with what its local replacement makes of it (features live, all
// else frozen), so many layers further on: change of the MLP output, and of the
// stream, which holds the push itself.
type PushAnswer struct {
	Kind       string  `json:"kind"`
	Layer      int     `json:"layer"` // at whose MLP output the vector is added
	Depth      int     `json:"depth"` // layers further on, 1 or more
	Cosine     float64 `json:"cosine"`
	NMSE       float64 `json:"nmse"` // Σ(local - model)²/Σ model²
	StreamCos  float64 `json:"stream_cosine"`
	StreamNMSE float64 `json:"stream_nmse"`
}

// pushes draws the perturbations of a prompt: at every layer but the last, at random
// positions behind the first. Their norms are set by pushAll.
func (l *Local) pushes(cfg FaithfulnessConfig, r *rand.Rand) []push {
	var list []push
	d := l.CLT.DModel
	for layer := 0; layer+1 < l.CLT.Layers; layer++ {
		for range cfg.Draws {
			pos := 1 + r.IntN(max(1, len(l.Tokens)-1))
			encoder, random := make([]float64, d), make([]float64, d)
			f := l.someFeature(r, layer+1, pos)
			for i, w := range l.CLT.WEnc[f.Layer][f.Index*d:][:d] {
				encoder[i], random[i] = float64(w), r.NormFloat64()
			}
			own := l.someFeature(r, layer, pos)
			decoder := l.vector(AddDecoder(layer, pos, own, 1))
			for _, p := range []push{{PushEncoder, layer, pos, encoder}, {PushFeature, layer, pos, decoder}, {PushRandom, layer, pos, random}} {
				if norm := math.Sqrt(inner(p.vector, p.vector)); norm > 0 && pos < len(l.Tokens) {
					for i := range p.vector {
						p.vector[i] *= cfg.Size / norm
					}
					list = append(list, p)
				}
			}
		}
	}
	return list
}

// someFeature is a feature of the layer that is active there, or any one if none is.
func (l *Local) someFeature(r *rand.Rand, layer, pos int) clt.Feature {
	var here []clt.Feature
	for _, a := range l.Active {
		if a.Layer == layer && a.Pos == pos {
			here = append(here, a.Feature)
		}
	}
	if len(here) == 0 {
		return clt.Feature{Layer: layer, Index: r.IntN(l.CLT.Features)}
	}
	return here[r.IntN(len(here))]
}

// pushAll pushes each vector into both models and compares their answers.
func (l *Local) pushAll(ctx context.Context, pushes []push, step func()) ([]PushAnswer, error) {
	real := InterveneConfig{Mode: Live, FreezeAttention: true, Streams: true}
	local := InterveneConfig{Mode: Iterative, To: l.CLT.Layers, FreezeAttention: true, FreezeLN: true, Streams: true}
	var clean [2]*Effect
	for i, cfg := range []InterveneConfig{real, local} {
		var err error
		if clean[i], err = l.Intervene(ctx, cfg); err != nil {
			return nil, err
		}
	}
	list := []PushAnswer{}
	d := l.CLT.DModel
	for _, p := range pushes {
		norm := 0.0
		for i := range d {
			x := clean[0].Stream[p.layer].At(p.pos*d + i)
			norm += x * x
		}
		edit := AddVector(p.layer, p.pos, gpt2.MLPOut, p.vector)
		edit.Add.Scale = math.Sqrt(norm)
		model, err := l.Intervene(ctx, real, edit)
		if err != nil {
			return nil, err
		}
		answer, err := l.Intervene(ctx, local, edit)
		if err != nil {
			return nil, err
		}
		for to := p.layer + 1; to < l.CLT.Layers; to++ {
			a := PushAnswer{Kind: p.kind, Layer: p.layer, Depth: to - p.layer}
			a.Cosine, a.NMSE = agreement(answer.MLPOut[to], clean[1].MLPOut[to], model.MLPOut[to], clean[0].MLPOut[to])
			a.StreamCos, a.StreamNMSE = agreement(answer.Stream[to], clean[1].Stream[to], model.Stream[to], clean[0].Stream[to])
			list = append(list, a)
		}
		step()
	}
	return list, nil
}

// agreement compares the change a-a0 with the true one b-b0: 0 and 1 where nothing
// moves.
func agreement(a, a0, b, b0 gpt2.Array) (cosine, nmse float64) {
	var ab, aa, bb, miss float64
	for i := range a.Len() {
		x, y := a.At(i)-a0.At(i), b.At(i)-b0.At(i)
		ab, aa, bb, miss = ab+x*y, aa+x*x, bb+y*y, miss+(x-y)*(x-y)
	}
	if bb == 0 {
		return 0, 1
	}
	return ab / math.Sqrt(max(aa*bb, 1e-300)), miss / bb
}
