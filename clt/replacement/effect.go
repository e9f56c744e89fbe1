package replacement

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Effect is what an intervention did.
type Effect struct {
	Config InterveneConfig
	Logits gpt2.Array   // [pos, d_vocab] after
	Pre    []gpt2.Array // layer -> [pos, features] after; position 0 zero
	MLPOut []gpt2.Array // layer -> [pos, d_model] after; with Config.Streams alone
	Stream []gpt2.Array // layer -> [pos, d_model] after, at hook_resid_post; with Config.Streams alone

	local *Local
	edits []Edit
}

// unpack reads the outputs of interveneGraph.
func (e *Effect) unpack(out []*tensors.Tensor) error {
	for i, t := range out {
		a, err := gpt2.TakeTensor(t)
		if err != nil {
			return err
		}
		a = a.Unbatch(len(e.local.Tokens), 0)
		if i == 0 {
			e.Logits = a
			continue
		}
		switch layers := e.local.CLT.Layers; {
		case i <= layers:
			e.Pre = append(e.Pre, clearFirst(a))
		case i <= 2*layers:
			e.MLPOut = append(e.MLPOut, a)
		default:
			e.Stream = append(e.Stream, a)
		}
	}
	return e.checkFinite()
}

// checkFinite names the first number after the edits that is none.
func (e *Effect) checkFinite() error {
	const cure = "after the edits; use smaller values or float64"
	for layer, pre := range e.Pre {
		if i := firstNotFinite(pre); i >= 0 {
			f := e.local.CLT.Features
			return fmt.Errorf("replacement: intervene: the pre-activation of %v is %g at position %d %s", clt.Feature{Layer: layer, Index: i % f}, pre.At(i), i/f, cure)
		}
	}
	if i := firstNotFinite(e.Logits); i >= 0 {
		v := e.local.LM.Config.DVocab
		return fmt.Errorf("replacement: intervene: the logit of token %d is %g at position %d %s", i%v, e.Logits.At(i), i/v, cure)
	}
	return nil
}

// Activations are the features' activations after the edits, layer -> [pos,
// features], position 0 zero: what features pass on, so that an edited feature has
// what its edit gave it.
func (e *Effect) Activations() []gpt2.Array {
	l := e.local
	list := activate(l.CLT, e.Pre)
	for _, x := range e.edits {
		if x.Add != nil || e.Config.Mode == Iterative && x.Layer >= e.Config.To {
			continue
		}
		for p := max(1, x.Pos); p < len(l.Tokens) && (p == x.Pos || x.Open); p++ {
			i := p*l.CLT.Features + x.Index
			switch {
			case e.Config.Mode == Constrained:
				set(list[x.Layer], i, l.act[x.Layer].At(i)+l.change(x, p))
			case x.Scale:
				set(list[x.Layer], i, x.Factor*list[x.Layer].At(i))
			default:
				set(list[x.Layer], i, x.Value)
			}
		}
	}
	return list
}

// CleanActivations are the features' activations on the clean run: layer -> [pos,
// features], position 0 zero. They are not copied.
func (l *Local) CleanActivations() []gpt2.Array { return l.act }

// Place is a feature at a position.
type Place struct {
	clt.Feature
	Pos int
}

// Group is a supernode: features that play one role.
type Group struct {
	Name    string
	Members []Place
}

// Readout is what an intervention did to a supernode, as sums of activations.
type Readout struct {
	Before, After float64
}

// Fraction is after over before: what is left of the supernode. It is NaN if
// nothing was there before.
func (r Readout) Fraction() float64 {
	if r.Before == 0 {
		return math.NaN()
	}
	return r.After / r.Before
}

// Readouts sums the activations of each group before and after (method: 8.5).
// after is e.Activations(). Members that are not there count as 0.
func (l *Local) Readouts(groups []Group, after []gpt2.Array) []Readout {
	list := make([]Readout, len(groups))
	for k, g := range groups {
		for _, m := range g.Members {
			if m.Layer < 0 || m.Layer >= l.CLT.Layers || m.Index < 0 || m.Index >= l.CLT.Features || m.Pos < 0 || m.Pos >= len(l.Tokens) {
				continue
			}
			i := m.Pos*l.CLT.Features + m.Index
			list[k].Before += l.act[m.Layer].At(i)
			list[k].After += after[m.Layer].At(i)
		}
	}
	return list
}

// KL is the divergence KL(clean || edited) of the next-token distributions, by
// position, in nats.
func (e *Effect) KL() []float64 {
	l, v := e.local, e.local.LM.Config.DVocab
	list := make([]float64, len(l.Tokens))
	for p := range list {
		row := make([]float64, v)
		for i := range row {
			row[i] = e.Logits.At(p*v + i)
		}
		clean, edited := gpt2.LogProbs(l.logitRow(p)), gpt2.LogProbs(row)
		for i, lp := range clean {
			list[p] += math.Exp(lp) * (lp - edited[i])
		}
		list[p] = max(0, list[p]) // rounding
	}
	return list
}

// Switched lists the features that the edits switched off and on, the edited ones
// left out: where a graph's prediction stops being exact.
func (e *Effect) Switched() (off, on []attribution.ID) {
	l := e.local
	edited := map[Place]bool{}
	for _, x := range e.edits {
		for p := max(1, x.Pos); x.Add == nil && p < len(l.Tokens) && (p == x.Pos || x.Open); p++ {
			edited[Place{x.Feature, p}] = true
		}
	}
	for layer, after := range activate(l.CLT, e.Pre) {
		for i := range after.Len() {
			a, b := l.act[layer].At(i) != 0, after.At(i) != 0
			p := Place{clt.Feature{Layer: layer, Index: i % l.CLT.Features}, i / l.CLT.Features}
			if a == b || edited[p] {
				continue
			}
			id := attribution.ID{Kind: attribution.Feature, Layer: layer, Pos: p.Pos, Index: p.Index}
			if a {
				off = append(off, id)
			} else {
				on = append(on, id)
			}
		}
	}
	return off, on
}
