package replacement

import (
	"math"
	"reflect"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

func TestCorrelations(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5}
	for _, c := range []struct {
		y    []float64
		want float64
	}{{[]float64{1, 4, 9, 16, 25}, 1}, {[]float64{5, 4, 3, 2, 1}, -1}, {[]float64{1, 1, 1, 1, 1}, 0}, {[]float64{1, 3, 2, 5, 4}, .8}, {[]float64{2, 2, 1, 3, 3}, 6 / math.Sqrt(90)}} {
		if got, _ := Correlations(x, c.y); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("rank correlation with %v is %g, want %g", c.y, got, c.want)
		}
	}
	if _, got := Correlations([]float64{1, 2, 4, 0}, []float64{1, 4, 16, 3}); math.Abs(got-1) > 1e-12 {
		t.Errorf("a power law has log correlation %g", got)
	}
}

// The predictors are those of the graph, effects have the ranges that they should,
// and two runs are the same.
func TestFaithful(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		l, cfg := c.Local, DefaultFaithfulnessConfig()
		cfg.Features, cfg.Draws = 9, 1
		f, err := l.Faithful(t.Context(), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := l.Faithful(t.Context(), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(f, again) {
			t.Error("two runs differ")
		}
		g := graphOf(t, l)
		influence, err := g.Influence()
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Ablations) != min(9, len(l.Active)) || len(f.Agree) == 0 {
			t.Fatalf("%d ablations of %d features, %d pushes", len(f.Ablations), len(l.Active), len(f.Agree))
		}
		for _, a := range f.Ablations {
			node := g.Find(attribution.ID{Kind: attribution.Feature, Layer: a.Layer, Pos: a.Pos, Index: a.Index})
			if node < 0 || a.Influence != influence[node] || len(a.KL) != l.CLT.Layers-a.Layer || a.Direct > a.Influence+1e-12 || a.Strongest() < a.KL[0] {
				t.Errorf("ablation %+v", a)
			}
		}
		for _, a := range f.Agree {
			if !(math.Abs(a.Cosine) <= 1+1e-9) || !(a.NMSE >= 0) || a.Depth < 1 || a.Layer+a.Depth >= l.CLT.Layers {
				t.Errorf("push %+v", a)
			}
		}
	})
}

// Without a push, model and local replacement have the MLP outputs of the clean run.
func TestStreamsOfTheCleanRun(t *testing.T) {
	onRandom(t, nil, func(t *testing.T, c randomCase) {
		for _, cfg := range []InterveneConfig{{Mode: Live, Streams: true}, {Mode: Iterative, To: c.CLT.Layers, FreezeLN: true, Streams: true}} {
			e, err := c.Intervene(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			for l, out := range e.MLPOut {
				if d, at := maxDiff(out.At, c.mlpOut[l].F64); d > 1e-10 {
					t.Errorf("%s: layer %d differs by %g at %d", cfg.Mode, l, d, at)
				}
			}
			if len(e.MLPOut) != c.CLT.Layers || len(e.Stream) != c.CLT.Layers || len(e.Pre) != c.CLT.Layers {
				t.Errorf("%d MLP outputs, %d streams", len(e.MLPOut), len(e.Stream))
			}
		}
	})
}

func TestFaithfulnessRefuses(t *testing.T) {
	for _, c := range []FaithfulnessConfig{{Features: -1, Draws: 1, Size: 1}, {Draws: 0, Size: 1}, {Draws: 1}, {Draws: 1, Size: math.Inf(1)}, {Draws: 1, Size: math.NaN()}} {
		if c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
