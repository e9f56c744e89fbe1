package replacement

import (
	"github.com/etredal/cross-layer-transcoder/clt"
)

// Resolve gives edits that take an activation from another prompt the value that
// it has there; other edits stay as they are. A swap of all features becomes one
// edit for each that is active here or there, in the order of layer and index. A
// feature that is not active on the other prompt gets 0. other may be nil if no
// edit needs it.
func (l *Local) Resolve(edits []Edit, other *Local) ([]Edit, error) {
	var list []Edit
	for _, e := range edits {
		if e.Take == nil {
			list = append(list, e)
			continue
		}
		if err := l.checkTake(e, other); err != nil {
			return nil, err
		}
		features := []clt.Feature{e.Feature}
		if e.Take.AllFeatures {
			if features = l.activeAtEither(e, other); len(features) == 0 {
				return nil, refused("edit %s: no feature is active there on either prompt; choose other positions", e)
			}
		}
		for _, f := range features {
			x := SetTo(f, e.Pos, other.act[f.Layer].At(e.Take.Pos*l.CLT.Features+f.Index))
			x.Open = e.Open
			list = append(list, x)
		}
	}
	return list, nil
}

func (l *Local) checkTake(e Edit, other *Local) error {
	c := l.CLT
	switch {
	case other == nil:
		return refused("edit %s takes an activation from another prompt; give that prompt", e)
	case other.CLT != c:
		return refused("edit %s: the other prompt was read by another transcoder; use one", e)
	case !e.Take.AllLayers && (e.Layer < 0 || e.Layer >= c.Layers) || !e.Take.AllFeatures && (e.Index < 0 || e.Index >= c.Features):
		return refused("edit %s: the transcoder has no such feature; layers are 0..%d and features 0..%d", e, c.Layers-1, c.Features-1)
	case e.Take.Pos < 1 || e.Take.Pos >= len(other.Tokens):
		return refused("edit %s: position %d holds no features; the other prompt has features at positions 1..%d", e, e.Take.Pos, len(other.Tokens)-1)
	case e.Pos < 1 || e.Pos >= len(l.Tokens):
		return refused("edit %s: position %d holds no features; the prompt has features at positions 1..%d", e, e.Pos, len(l.Tokens)-1)
	}
	return nil
}

// activeAtEither lists the features that an edit swaps.
func (l *Local) activeAtEither(e Edit, other *Local) []clt.Feature {
	var list []clt.Feature
	for layer := range l.CLT.Layers {
		if layer != e.Layer && !e.Take.AllLayers {
			continue
		}
		for f := range l.CLT.Features {
			if l.act[layer].At(e.Pos*l.CLT.Features+f) != 0 || other.act[layer].At(e.Take.Pos*l.CLT.Features+f) != 0 {
				list = append(list, clt.Feature{Layer: layer, Index: f})
			}
		}
	}
	return list
}

// Differences makes the swaps that turn this prompt's features into another's
// wherever the tokens differ and a feature is active. The prompts must have the
// same length.
func (l *Local) Differences(other *Local) ([]Edit, error) {
	if len(l.Tokens) != len(other.Tokens) {
		return nil, refused("swap: the prompts have %d and %d tokens; say which position takes from which", len(l.Tokens), len(other.Tokens))
	}
	var list []Edit
	for p := 1; p < len(l.Tokens); p++ {
		if e := SwapAll(p, p); l.Tokens[p] != other.Tokens[p] && len(l.activeAtEither(e, other)) > 0 {
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		return nil, refused("swap: the prompts differ nowhere behind position 0 where a feature is active; give another one")
	}
	return list, nil
}
