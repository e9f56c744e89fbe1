package features

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/naive"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
	"github.com/etredal/cross-layer-transcoder/internal/toy"
)

// mainKind is a cross-layer transcoder without skip.
const mainKind = "jumprelu other ln2.hook_normalized"

// toyCorpus is random windows, some short ones at the end.
func toyCorpus(windows int) [][]int32 {
	r := rand.New(rand.NewPCG(5, 6))
	var list [][]int32
	for i := range windows {
		n := 8
		if i > windows-4 {
			n = 3 + i%4
		}
		w := []int32{12}
		for len(w) < n {
			w = append(w, int32(r.IntN(12)))
		}
		list = append(list, w)
	}
	return list
}

// inSteps hands out windows, and counts the steps that were asked for.
func inSteps(list [][]int32, n int) gpt2.TokenSource {
	return func(step int) ([][]int32, error) {
		if step*n >= len(list) {
			return nil, io.EOF
		}
		return list[step*n : min((step+1)*n, len(list))], nil
	}
}

func toyPair(t testing.TB, kind string) (*gpt2.Model, *clt.Transcoder, gpt2.Params) {
	t.Helper()
	cfg := toy.RandomConfig()
	params := toy.RandomModel(cfg, 3)
	lm, err := gpt2.New(testbackend.Open(t, "go"), cfg, params, gpt2.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kinds := toy.RandomKinds(cfg)
	k, ok := kinds[kind]
	if !ok {
		t.Fatalf("no toy transcoder %q", kind)
	}
	x := toy.RandomCLT(k, 4)
	for i := range x.BEnc[1] { // one feature never fires
		if i == 2 {
			x.BEnc[1][i] = -100
		}
	}
	return lm, x, params
}

func small() Config {
	c := DefaultConfig()
	c.Top, c.Groups, c.PerGroup, c.Before, c.After, c.Logits, c.Coactive, c.Sketch, c.Every = 6, 4, 3, 3, 2, 5, 64, 64, 1
	return c
}

var toyOrigin = Origin{Model: Artifact{"toy", "aa"}, CLT: Artifact{"toy", "bb"}}

func build(t testing.TB, lm *gpt2.Model, x *clt.Transcoder, corpus [][]int32, cfg Config) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if _, err := Build(t.Context(), lm, x, toyOrigin, inSteps(corpus, 5), cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// plainFeature is one feature by plain loops.
type plainFeature struct {
	values []float64
	places [][2]int // window, position
}

// plainLoops runs every window through the naive model.
func plainLoops(cfg gpt2.Config, params gpt2.Params, x *clt.Transcoder, corpus [][]int32) (all map[clt.Feature]*plainFeature, tokens [][]clt.Activation) {
	all = map[clt.Feature]*plainFeature{}
	m, c := toy.NaiveModel(cfg, params), toy.NaiveCLT(x)
	for i, w := range corpus {
		local := naive.Localize(m, c, w)
		for p := 1; p < len(w); p++ {
			var active []clt.Activation
			for l := range x.Layers {
				for f := range x.Features {
					v := local.Act[l][p*x.Features+f]
					if v <= 0 {
						continue
					}
					k := clt.Feature{Layer: l, Index: f}
					if all[k] == nil {
						all[k] = &plainFeature{}
					}
					all[k].values, all[k].places = append(all[k].values, v), append(all[k].places, [2]int{i, p})
					active = append(active, clt.Activation{Feature: k, Value: float32(v), Pos: len(tokens)})
				}
			}
			tokens = append(tokens, active)
		}
	}
	return all, tokens
}

// TestAgainstPlainLoops: counts, sums, histogram, top examples and dead features of a
// store are those of plain loops over the same tokens.
func TestAgainstPlainLoops(t *testing.T) {
	for kind := range toy.RandomKinds(toy.RandomConfig()) {
		t.Run(kind, func(t *testing.T) {
			lm, x, params := toyPair(t, kind)
			corpus := toyCorpus(23)
			s, _ := build(t, lm, x, corpus, small())
			want, tokens := plainLoops(lm.Config, params, x, corpus)
			if s.Manifest.Summary.Tokens != len(tokens) || s.Manifest.Summary.Windows != len(corpus) {
				t.Fatalf("%d tokens of %d windows, want %d of %d", s.Manifest.Summary.Tokens, s.Manifest.Summary.Windows, len(tokens), len(corpus))
			}
			if dead := x.Layers*x.Features - len(want); s.Manifest.Summary.Dead != dead || dead == 0 {
				t.Errorf("%d dead features, want %d", s.Manifest.Summary.Dead, dead)
			}
			for l := range x.Layers {
				for f := range x.Features {
					k := clt.Feature{Layer: l, Index: f}
					got, err := s.Feature(k)
					if err != nil {
						t.Fatal(err)
					}
					compare(t, got, want[k], corpus, len(tokens))
				}
			}
		})
	}
}

func compare(t *testing.T, got *Feature, want *plainFeature, corpus [][]int32, tokens int) {
	t.Helper()
	if want == nil {
		if !got.Dead() || got.Max != 0 || len(got.Groups) != 0 || len(got.Targets) == 0 {
			t.Errorf("a dead feature has %+v", got)
		}
		return
	}
	sum, most, counts := 0.0, slices.Max(want.values), make([]int, bins)
	for _, v := range want.values {
		sum += v
		counts[int(v/got.BinWidth)]++
	}
	n := float64(len(want.values))
	if got.Active != len(want.values) || math.Abs(got.Density-n/float64(tokens)) > 1e-5 || math.Abs(got.Mean-sum/n) > 1e-4*max(1, sum/n) || math.Abs(got.Max-most) > 1e-4 {
		t.Errorf("L%d/F%d: %d active, density %g, mean %g, max %g; want %v, %g, %g, %g", got.Layer, got.Index, got.Active, got.Density, got.Mean, got.Max, n, n/float64(tokens), sum/n, most)
	}
	if !slices.Equal(got.Histogram, counts) || most/got.BinWidth < bins/2 {
		t.Errorf("L%d/F%d: histogram %v of width %g, want %v", got.Layer, got.Index, got.Histogram, got.BinWidth, counts)
	}
	var sorted []int // by value, then place, one of each text
	seen := map[string]bool{}
	for i := range want.values {
		sorted = append(sorted, i)
	}
	slices.SortStableFunc(sorted, func(a, b int) int { return cmp.Compare(want.values[b], want.values[a]) })
	sorted = slices.DeleteFunc(sorted, func(i int) bool {
		w, p := corpus[want.places[i][0]], want.places[i][1]
		text := fmt.Sprint(w[max(0, p-3) : p+1])
		old := seen[text]
		seen[text] = true
		return old
	})
	top := got.Groups[0].Examples
	if len(top) != min(6, len(sorted)) {
		t.Fatalf("L%d/F%d: %d top examples of %d", got.Layer, got.Index, len(top), len(sorted))
	}
	for i, e := range top {
		if math.Abs(e.Value-want.values[sorted[i]]) > 1e-4 {
			t.Errorf("L%d/F%d: top example %d has %g, want %g", got.Layer, got.Index, i, e.Value, want.values[sorted[i]])
		}
		at := slices.Index(want.places, [2]int{e.Window, e.Pos})
		if at < 0 || math.Abs(want.values[at]-e.Value) > 1e-4 {
			t.Errorf("L%d/F%d: nothing of %g at %d, %d", got.Layer, got.Index, e.Value, e.Window, e.Pos)
		}
		w := corpus[e.Window]
		for j, tok := range e.Tokens {
			if want := fmt.Sprintf("[%d]", w[e.Pos-e.Peak+j]); tok != want {
				t.Errorf("token %d of an example is %s, want %s", j, tok, want)
			}
		}
	}
}

// TestInvariant66Reencode: a stored example, encoded again, gives the stored
// activations, and the intervals cover (0, max] without a gap.
func TestInvariant66Reencode(t *testing.T) {
	lm, x, params := toyPair(t, mainKind)
	corpus := toyCorpus(40)
	s, _ := build(t, lm, x, corpus, small())
	m, c := toy.NaiveModel(lm.Config, params), toy.NaiveCLT(x)
	examples := 0
	for f := range x.Features {
		got, err := s.Feature(clt.Feature{Layer: 1, Index: f})
		if err != nil {
			t.Fatal(err)
		}
		for g, group := range got.Groups {
			for _, e := range group.Examples {
				examples++
				local := naive.Localize(m, c, corpus[e.Window])
				for j, v := range e.Values {
					p := e.Pos - e.Peak + j
					want := 0.0
					if p > 0 {
						want = local.Act[1][p*x.Features+f]
					}
					if math.Abs(v-want) > 1e-4 {
						t.Errorf("L1/F%d: token %d of an example has %g, encoded again %g", f, j, v, want)
					}
				}
				if g > 0 && (e.Value < group.Low*(1-1e-4) || e.Value > group.High*(1+1e-4)) {
					t.Errorf("L1/F%d: %g is in the interval %g to %g", f, e.Value, group.Low, group.High)
				}
			}
			if g > 1 && group.High > got.Groups[g-1].Low {
				t.Errorf("L1/F%d: intervals overlap", f)
			}
		}
		if n := len(got.Groups); n > 1 && got.Groups[1].High < got.Max*(1-1e-4) {
			t.Errorf("L1/F%d: the highest interval ends at %g, the maximum is %g", f, got.Groups[1].High, got.Max)
		}
	}
	if examples < 30 {
		t.Errorf("%d examples were looked at", examples)
	}
}

// TestCoactive: with room for all pairs the sketch is exact.
func TestCoactive(t *testing.T) {
	lm, x, params := toyPair(t, mainKind)
	corpus := toyCorpus(30)
	s, _ := build(t, lm, x, corpus, small())
	_, tokens := plainLoops(lm.Config, params, x, corpus)
	stats := clt.NewCoactivation()
	for _, active := range tokens {
		stats.Add(active, 1)
	}
	pairs := 0
	for f := range x.Features {
		got, err := s.Feature(clt.Feature{Layer: 0, Index: f})
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range got.Coactive {
			if i > 0 && o.Count > got.Coactive[i-1].Count {
				t.Error("companions are not sorted")
			}
			if o.Layer == 0 {
				continue
			}
			pairs++
			a, b := clt.Feature{Layer: 0, Index: f}, clt.Feature{Layer: o.Layer, Index: o.Index}
			if math.Abs(o.Residual-stats.Residual(a, b)) > 1e-4 || math.Abs(o.TargetWeighted-stats.TargetWeighted(a, b)) > 1e-4*max(1, stats.TargetWeighted(a, b)) {
				t.Errorf("%v and %v: %g and %g, plain sums say %g and %g", a, b, o.Residual, o.TargetWeighted, stats.Residual(a, b), stats.TargetWeighted(a, b))
			}
		}
	}
	if pairs < 20 {
		t.Errorf("%d pairs were looked at", pairs)
	}
}

// TestResume: a pass that is interrupted after any number of steps, and goes on, ends
// with the bytes of one that is not, and leaves no checkpoint.
func TestResume(t *testing.T) {
	lm, x, _ := toyPair(t, mainKind)
	corpus, cfg := toyCorpus(31), small()
	cfg.Tokens = 150 // ends inside a window
	_, dir := build(t, lm, x, corpus, cfg)
	want := testenv.Files(t, dir)
	for _, at := range [][]int{{1}, {3}, {2, 3, 4}} {
		dir := filepath.Join(t.TempDir(), "store")
		for _, stop := range at {
			ctx, cancel := context.WithCancel(t.Context())
			source := inSteps(corpus, 5)
			_, err := Build(ctx, lm, x, toyOrigin, func(step int) ([][]int32, error) {
				if step == stop {
					cancel()
				}
				return source(step)
			}, cfg, dir, nil)
			cancel()
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("interrupted at %d: %v", stop, err)
			}
			if _, err := os.Stat(dir + ".pass"); err != nil {
				t.Fatal("no checkpoint is left")
			}
			if _, err := os.Stat(dir); err == nil {
				t.Fatal("half a store is left")
			}
		}
		if _, err := Build(t.Context(), lm, x, toyOrigin, inSteps(corpus, 5), cfg, dir, nil); err != nil {
			t.Fatal(err)
		}
		if got := testenv.Files(t, dir); !reflect.DeepEqual(got, want) {
			t.Errorf("interrupted at %v, the store is another one", at)
		}
		if _, err := os.Stat(dir + ".pass"); err == nil {
			t.Error("the checkpoint is still there")
		}
	}
}

// TestCheckpointIsOfItsPass: another corpus, setting, model or a damaged file are
// refused.
func TestCheckpointIsOfItsPass(t *testing.T) {
	lm, x, _ := toyPair(t, mainKind)
	corpus, dir := toyCorpus(20), filepath.Join(t.TempDir(), "store")
	ctx, cancel := context.WithCancel(t.Context())
	source := inSteps(corpus, 5)
	_, err := Build(ctx, lm, x, toyOrigin, func(step int) ([][]int32, error) {
		if step == 2 {
			cancel()
		}
		return source(step)
	}, small(), dir, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	other, cfg := toyOrigin, small()
	other.CLT.SHA256 = "cc"
	cfg.Top++
	try := func(o Origin, corpus [][]int32, c Config) error {
		_, err := Build(t.Context(), lm, x, o, inSteps(corpus, 5), c, dir, nil)
		return err
	}
	for name, err := range map[string]error{"transcoder": try(other, corpus, small()), "texts": try(toyOrigin, toyCorpus(21)[1:], small()), "settings": try(toyOrigin, corpus, cfg)} {
		if err == nil || !contains(err, name) || !contains(err, "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	data, err := os.ReadFile(dir + ".pass")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{data[:len(data)/2], append(slices.Clone(data[:len(data)-20]), make([]byte, 20)...), []byte("x"), nil} {
		if err := os.WriteFile(dir+".pass", bad, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := try(toyOrigin, corpus, small()); err == nil || !contains(err, "remove it") {
			t.Errorf("a damaged checkpoint of %d bytes: %v", len(bad), err)
		}
	}
}
