package replacement

import (
	"sync"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// answer is what the frozen model makes of something that is written into its
// stream while every feature keeps its activation: the changes of logits and of
// what encoders read.
type answer struct {
	logits gpt2.Array                 // [2, pos, d_vocab]: with and without
	reads  []gpt2.Array               // layer -> [2, pos, d_model]
	final  func() (gpt2.Array, error) // what is unembedded [2, pos, d_model], which takes another pass
}

func (a *answer) logit(i int) float64 { return a.logits.At(i) - a.logits.At(a.logits.Len()/2+i) }

func (a *answer) read(layer, i int) float64 {
	r := a.reads[layer]
	return r.At(i) - r.At(r.Len()/2+i)
}

// answer runs the frozen model with what some features write when their activation
// changes by Value, and with the vectors that edits add: nil if there is neither.
func (l *Local) answer(features []Active, edits []Edit) (*answer, error) {
	d, length, layers := l.CLT.DModel, l.length(), l.CLT.Layers
	blank := func() gpt2.Array { return gpt2.NewArray([]int{2, length, d}, l.LM.Double) }
	x0, writes, found := blank(), make([]gpt2.Array, layers), len(features) > 0
	for i := range writes {
		writes[i] = blank()
	}
	var mids []gpt2.Array
	for _, a := range features {
		dec := l.CLT.Decoder(a.Layer, a.Index)
		for k := range l.CLT.Targets(a.Layer) {
			addScaled(writes[a.Layer+k], a.Pos*d, dec[k*d:][:d], a.Value)
		}
	}
	for _, e := range edits {
		if e.Add == nil {
			continue
		}
		found = true
		into := writes[e.Layer] // hook_resid_post is hook_mlp_out to all that comes later
		switch {
		case e.Add.Site == gpt2.ResidPre && e.Layer == 0:
			into = x0
		case e.Add.Site == gpt2.ResidPre:
			into = writes[e.Layer-1]
		case e.Add.Site == gpt2.ResidMid:
			for mids == nil || len(mids) < layers {
				mids = append(mids, blank())
			}
			into = mids[e.Layer]
		}
		v := l.vector(e)
		for p := e.Pos; p < len(l.Tokens) && (p == e.Pos || e.Open); p++ {
			for i, x := range v {
				set(into, p*d+i, into.At(p*d+i)+x)
			}
		}
	}
	if err := l.CLT.Err(); err != nil || !found {
		return nil, err
	}
	logits, reads, err := l.affine(x0, writes, mids)
	if err != nil {
		return nil, err
	}
	final := sync.OnceValues(func() (gpt2.Array, error) {
		a, _, err := l.affineTo(x0, writes, mids, false)
		return a, err
	})
	return &answer{logits, reads, final}, nil
}

// on is the direct effect on a target.
func (a *answer) on(l *Local, t Target, pos int) (float64, error) {
	sum := l.directionOf(t, pos, a.logit, a.read)
	if t.Vector == nil {
		return sum, nil
	}
	f, err := a.final()
	if err != nil {
		return 0, err
	}
	for i, v := range t.Vector {
		at := pos*len(t.Vector) + i
		sum += v * (f.At(at) - f.At(f.Len()/2+at))
	}
	return sum, nil
}
