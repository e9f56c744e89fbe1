package replacement

import (
	"math"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// TestSwap: features take what they have on another prompt, and after a swap of
// all features of the first layer's reads the activations there are the other's.
func TestSwap(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		other := localized(t, c.Model, []int32{12, 5, 9, 1, 6, 2, 4})
		edits, err := c.Resolve([]Edit{SwapAll(3, 6), SetTo(clt.Feature{Layer: 1, Index: 0}, 2, 7)}, other)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{Constrained, Iterative, Live} {
			cfg := c.everythingFrozen()
			cfg.Mode = mode
			after := intervened(t, c.Local, cfg, edits...).Activations()
			for layer := range 3 {
				for f := range c.CLT.Features {
					got, want := after[layer].At(3*c.CLT.Features+f), other.act[layer].At(6*c.CLT.Features+f)
					inEither := want != 0 || c.act[layer].At(3*c.CLT.Features+f) != 0
					if inEither && math.Abs(got-want) > 1e-12 {
						t.Fatalf("%s: L%d/F%d has %g, the other prompt %g", mode, layer, f, got, want)
					}
				}
			}
		}
		a := other.Active[1]
		one, err := c.Resolve([]Edit{SwapIn(a.Feature, 4, a.Pos)}, other)
		if err != nil || len(one) != 1 || one[0] != SetTo(a.Feature, 4, a.Value) {
			t.Errorf("one feature: %v, %v", one, err)
		}
		layer := Edit{Feature: clt.Feature{Layer: 2}, Pos: 3, Take: &Take{Pos: 6, AllFeatures: true}}
		if list, err := c.Resolve([]Edit{layer}, other); err != nil || len(list) == 0 || list[0].Layer != 2 || list[len(list)-1].Layer != 2 {
			t.Errorf("one layer: %v, %v", list, err)
		}
		if same, err := c.Resolve([]Edit{SwapAll(3, 3)}, c.Local); err != nil {
			t.Error(err)
		} else if e := intervened(t, c.Local, c.everythingFrozen(), same...); maxOf(e.KL()) > 1e-11 {
			t.Error("a swap with the prompt itself changes something")
		}
	})
}

func maxOf(v []float64) float64 {
	m := math.Inf(-1)
	for _, x := range v {
		m = max(m, x)
	}
	return m
}

func TestRefusedSwaps(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		other, short := localized(t, c.Model, []int32{12, 5, 9}), localized(t, c.Model, []int32{12})
		f := clt.Feature{Layer: 1, Index: 3}
		stranger := c.copied()
		stranger.Model = &Model{LM: c.LM, CLT: &clt.Transcoder{}}
		for _, x := range []struct {
			want  string
			edit  Edit
			other *Local
		}{
			{"give that prompt", SwapIn(f, 1, 1), nil},
			{"positions 1..2", SwapIn(f, 1, 3), other},
			{"positions 1..2", SwapIn(f, 1, 0), other},
			{"positions 1..5", SwapIn(f, 6, 1), other},
			{"positions 1..5", SwapAll(0, 1), other},
			{"layers are 0..2", SwapIn(clt.Feature{Layer: 3}, 1, 1), other},
			{"another transcoder", SwapIn(f, 1, 1), stranger},
		} {
			if _, err := c.Resolve([]Edit{x.edit}, x.other); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v: error %v, want one with %q", x.edit, err, x.want)
			}
		}
		if _, err := c.Differences(other); err == nil || !strings.Contains(err.Error(), "6 and 3 tokens") {
			t.Errorf("prompts of other lengths: %v", err)
		}
		if _, err := c.Differences(c.Local); err == nil || !strings.Contains(err.Error(), "differ nowhere") {
			t.Errorf("the same prompt: %v", err)
		}
		if _, err := short.Differences(short); err == nil {
			t.Error("prompts of one token were swapped")
		}
		twin := localized(t, c.Model, []int32{12, 3, 7, 5, 0, 1})
		if list, err := c.Differences(twin); err != nil || len(list) != 2 || list[0].Pos != 3 || list[1].Pos != 5 {
			t.Errorf("%v, %v", list, err)
		}
	})
}
