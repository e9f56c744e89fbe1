package features

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
)

// noise is a batch of random windows in which a fifth of the features is active.
func noise(shape clt.Config, seed uint64) batch {
	r := rand.New(rand.NewPCG(seed, 9))
	b := batch{length: 16}
	for range 8 {
		w := make([]int32, b.length)
		for i := range w {
			w[i] = int32(r.IntN(50))
		}
		b.windows = append(b.windows, w)
	}
	for range shape.Layers {
		dense := make([]float32, len(b.windows)*b.length*shape.Features)
		for i := range dense {
			if r.IntN(5) == 0 {
				dense[i] = float32(math.Exp(r.NormFloat64()))
			}
		}
		b.dense = append(b.dense, dense)
	}
	return b
}

// TestHistogramIgnoresOrder: any order of the values gives the same bins.
func TestHistogramIgnoresOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	values := []float32{1e-30, 3e-5, 0.5, 1, 2, 1000, 1e30}
	for range 500 {
		values = append(values, float32(math.Exp(3*r.NormFloat64())))
	}
	var first histogram
	for _, v := range values {
		first.add(v)
	}
	for range 5 {
		r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		var h histogram
		for _, v := range values {
			h.add(v)
		}
		if h != first {
			t.Fatal("the order of the values matters")
		}
	}
	var h histogram
	for i := 1; i <= 1000; i++ {
		h.add(float32(i))
	}
	for i, q := range h.quantiles(0.1, 0.5, 0.9) {
		if want := []float64{100, 500, 900}[i]; math.Abs(q-want) > h.width() {
			t.Errorf("quantile %g, want %g to within %g", q, want, h.width())
		}
	}
}

// TestTiesGoToTheEarlier: equal activations keep the order of the corpus, and a text
// that comes again counts and does not take a second place.
func TestTiesGoToTheEarlier(t *testing.T) {
	var top topExamples
	fill := func(e *example) { e.ids = append(e.ids[:0], int32(e.key)) }
	for i := range 10 {
		top.add(example{value: 1, window: uint32(i), key: uint64(i % 7)}, 4, fill)
	}
	top.add(example{value: 2, window: 20, key: 2}, 4, fill)
	var got []string
	for _, e := range top {
		got = append(got, fmt.Sprintf("%d:%d×%d", e.window, e.ids[0], e.repeats))
	}
	if want := "20:2×2 0:0×1 1:1×1 3:3×0"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestSketch: counts are never too high, too low by at most pairs/room, and heavy
// partners are found.
func TestSketch(t *testing.T) {
	var p partners
	truth := map[uint32]uint32{}
	r := rand.New(rand.NewPCG(3, 3))
	const room, n = 16, 20000
	for range n {
		id := uint32(r.IntN(500))
		if r.IntN(2) == 0 {
			id = uint32(r.IntN(4))
		}
		truth[id]++
		p.add(id, 1, 2, room)
	}
	for _, x := range p.sums {
		if x.count > truth[x.id] || truth[x.id]-x.count > n/room {
			t.Errorf("%d was counted %d times, it came %d times", x.id, x.count, truth[x.id])
		}
		if x.own != float64(x.count) || x.product != 2*float64(x.count) {
			t.Errorf("sums %g and %g of %d", x.own, x.product, x.count)
		}
	}
	var heavy []uint32
	for _, x := range p.most(4) {
		heavy = append(heavy, x.id)
	}
	slices.Sort(heavy)
	if !slices.Equal(heavy, []uint32{0, 1, 2, 3}) {
		t.Errorf("the heavy ones are %v", heavy)
	}
}

// TestLogitsAreThoseOfTheGraph: what the store says a feature raises and reads is what
// the global weights say.
func TestLogitsAreThoseOfTheGraph(t *testing.T) {
	for _, kind := range []string{mainKind, "relu hook_resid_mid", "relu mlp.hook_in"} {
		lm, x, _ := toyPair(t, kind)
		s, _ := build(t, lm, x, toyCorpus(10), small())
		r, err := replacement.New(lm, x, attribution.Artifact{Name: "toy"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for l := range x.Layers {
			f := clt.Feature{Layer: l, Index: 5}
			got, err := s.Feature(f)
			if err != nil {
				t.Fatal(err)
			}
			logits, err := r.LogitWeights(f)
			if err != nil {
				t.Fatal(err)
			}
			tokens, err := r.TokenWeights(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				name string
				list []Score
				want []float64
				sign float64
			}{{"top", got.Top, logits, 1}, {"bottom", got.Bottom, logits, -1}, {"embed", got.Embed, tokens, 1}} {
				order := make([]int, len(c.want))
				for i := range order {
					order[i] = i
				}
				slices.SortStableFunc(order, func(a, b int) int {
					if d := c.sign * (c.want[b] - c.want[a]); d != 0 {
						return map[bool]int{true: 1, false: -1}[d > 0]
					}
					return 0
				})
				for i, x := range c.list {
					if x.ID != order[i] || math.Abs(x.Value-c.want[order[i]]) > 1e-4 {
						t.Errorf("%s, %v, %s %d: token %d with %g, want %d with %g", kind, f, c.name, i, x.ID, x.Value, order[i], c.want[order[i]])
					}
				}
			}
			if (len(got.Extended) == 0) != (l == 0) || len(got.Targets) != x.Targets(l) {
				t.Errorf("%v: %d extended tokens, %d targets", f, len(got.Extended), len(got.Targets))
			}
		}
	}
}

// TestSearch ranks exact tokens before parts, finds logits, labels and dead features.
func TestSearch(t *testing.T) {
	lm, x, _ := toyPair(t, mainKind)
	s, _ := build(t, lm, x, toyCorpus(60), small())
	all, total, err := s.Search("", 0)
	if err != nil || len(all) != x.Layers*x.Features || total != len(all) {
		t.Fatalf("%d of %d features, %v", len(all), total, err)
	}
	for i := 1; i < len(all); i++ {
		if all[i].Active > all[i-1].Active {
			t.Fatal("not the densest first")
		}
	}
	dead, _, err := s.Search("dead", 0)
	if err != nil || len(dead) != s.Manifest.Summary.Dead {
		t.Errorf("%d dead features, %v", len(dead), err)
	}
	hits, total, err := s.Search("[3]", 5)
	if err != nil || len(hits) != 5 || total <= 5 {
		t.Fatalf("%d of %d hits, %v", len(hits), total, err)
	}
	for i, h := range hits {
		if i > 0 && h.Score > hits[i-1].Score || h.Why == "" {
			t.Errorf("hit %d: score %g, %q", i, h.Score, h.Why)
		}
	}
	logit, _, err := s.Search("logit:[3]", 0)
	if err != nil || len(logit) == 0 {
		t.Fatal("no logit is found")
	}
	for _, h := range logit {
		if strings.Contains(h.Why, "examples") {
			t.Errorf("a search for logits found %q", h.Why)
		}
	}
	named := hits[4].Feature
	if err := s.SetLabel(named, "three"); err != nil {
		t.Fatal(err)
	}
	if got, n, err := s.Search("label:Three", 3); err != nil || n != 1 || got[0].Feature != named || got[0].Score != 3 {
		t.Errorf("%+v, %d, %v", got, n, err)
	}
	if got, n, err := s.Search("nothing of the kind", 3); err != nil || n != 0 || len(got) != 0 {
		t.Errorf("%+v, %d, %v", got, n, err)
	}
}

func TestGuess(t *testing.T) {
	for _, c := range []struct {
		layer, n int
		in       []string
		counts   []int
		out      []string
		want     string
	}{
		{0, 20, []string{" Dallas", " Austin", "\n"}, []int{12, 4, 1}, []string{" the"}, "Dallas, Austin, newline"},
		{1, 20, []string{",", " and"}, []int{9, 9}, nil, "‘,’, and"},
		{3, 20, []string{" Dallas"}, []int{20}, []string{" Texas", " Austin", " x"}, "Dallas → Texas, Austin"},
		{0, 20, []string{"a", "b", "c", "d"}, []int{2, 2, 1, 1}, []string{" end"}, "→ end"},
		{3, 0, nil, nil, []string{" x"}, ""},
	} {
		if got := guess(c.layer, 4, c.n, c.in, c.counts, c.out); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
