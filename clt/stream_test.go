package clt

import (
	"context"
	"errors"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// numberedSteps has activations that tell where they are from: step, token, layer, place.
func numberedSteps(computed *atomic.Int64) Steps {
	s := Steps{Layers: 2, DModel: 3, Tokens: 10}
	s.Step = func(ctx context.Context, step int) (Batch, error) {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		if computed != nil {
			computed.Add(1)
		}
		var b Batch
		for l := range s.Layers {
			in, out := make([]float32, s.Tokens*s.DModel), make([]float32, s.Tokens*s.DModel)
			for i := range in {
				in[i] = float32(step) + float32(i)/64 + float32(l)*1000.37
				out[i] = -in[i] * 0.123
			}
			b.In, b.Out = append(b.In, in), append(b.Out, out)
		}
		return b, nil
	}
	return s
}

func draw(t *testing.T, seq iter.Seq2[Batch, error], n int) (list []Batch) {
	t.Helper()
	for b, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if list = append(list, b); len(list) == n {
			break
		}
	}
	return list
}

func sameBatches(a, b []Batch) bool {
	return slices.EqualFunc(a, b, func(x, y Batch) bool {
		eq := func(p, q []float32) bool { return slices.Equal(p, q) }
		return slices.EqualFunc(x.In, y.In, eq) && slices.EqualFunc(x.Out, y.Out, eq)
	})
}

// perBlock makes blocks of three batches of four tokens: 12 tokens, so two steps each.
const perBlock = 3 * 4 * 2 * 2 * 3 * 4

func TestStreamSkipEqualsDraw(t *testing.T) {
	for _, round := range []int{0, 5} {
		cfg := StreamConfig{Size: 4, Seed: 3, Last: 20, Round: round, Block: perBlock}
		all := draw(t, Stream(context.Background(), numberedSteps(nil), cfg), 99)
		if len(all) != 20 {
			t.Fatalf("%d batches, want 20", len(all))
		}
		for skip := range 20 {
			c := cfg
			c.Skip = skip
			if got := draw(t, Stream(context.Background(), numberedSteps(nil), c), 99); !sameBatches(got, all[skip:]) {
				t.Errorf("round %d: skipping %d differs from drawing", round, skip)
			}
		}
	}
}

// A round takes every step once, the first in order and the next in another; beyond
// what is needed nothing is computed.
func TestStreamRounds(t *testing.T) {
	p := &producer{cfg: StreamConfig{Seed: 1, Round: 8}}
	var first, second []int
	for i := range 8 {
		first = append(first, p.place(i))
	}
	for i := 8; i < 16; i++ {
		second = append(second, p.place(i))
	}
	if !slices.IsSorted(first) || slices.IsSorted(second) {
		t.Errorf("rounds are %v and %v", first, second)
	}
	slices.Sort(second)
	if !slices.Equal(first, second) {
		t.Errorf("the second round is not of the same steps: %v", second)
	}
	var computed atomic.Int64
	cfg := StreamConfig{Size: 4, Last: 4, Block: perBlock}
	draw(t, Stream(context.Background(), numberedSteps(&computed), cfg), 99)
	if n := cfg.StepsFor(numberedSteps(nil)); computed.Load() != 4 || n != 4 {
		t.Errorf("%d steps were computed and %d foreseen, want 4", computed.Load(), n)
	}
}

// The next block is computed while the batches of this one are used, and stopping
// early ends that.
func TestStreamOverlaps(t *testing.T) {
	var computed atomic.Int64
	next, stop := iter.Pull2(Stream(context.Background(), numberedSteps(&computed), StreamConfig{Size: 4, Block: perBlock}))
	if _, err, ok := next(); !ok || err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); computed.Load() < 4; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%d steps are computed while the first block is used, want 4", computed.Load())
		}
	}
	stop()
	n := computed.Load()
	time.Sleep(5 * time.Millisecond)
	if computed.Load() != n || n > 6 {
		t.Errorf("after the end %d steps became %d", n, computed.Load())
	}
}

func TestStreamErrors(t *testing.T) {
	broken := errors.New("model gone")
	s := numberedSteps(nil)
	s.Step = func(ctx context.Context, step int) (Batch, error) {
		if step == 2 {
			return Batch{}, broken
		}
		return numberedSteps(nil).Step(ctx, step)
	}
	count := 0
	var got error
	for _, err := range Stream(context.Background(), s, StreamConfig{Size: 4, Block: perBlock}) {
		if err != nil {
			got = err
		} else {
			count++
		}
	}
	if count != 3 || !errors.Is(got, broken) {
		t.Errorf("%d batches, then %v; want 3 and the error", count, got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range Stream(ctx, numberedSteps(nil), StreamConfig{Size: 4, Block: perBlock}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

func testKey(dtype string) CacheKey {
	return CacheKey{Model: "m", Tokenizer: "t", Read: "mlp.hook_in", Texts: "x", Seed: 1, Windows: 2, Window: 6, Layers: 2, DModel: 3, DType: dtype}
}

func openTestCache(t *testing.T, dir, dtype string, from Steps) *Cache {
	t.Helper()
	c, err := OpenCache(dir, testKey(dtype), from, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A float32 cache gives what the model gives, bit for bit, whether it is being filled
// or is full; the other types are within their bounds, and the same both times.
func TestCache(t *testing.T) {
	cfg := StreamConfig{Size: 4, Seed: 3, Last: 12, Block: perBlock}
	want := draw(t, Stream(context.Background(), numberedSteps(nil), cfg), 99)
	for _, dtype := range CacheDTypes() {
		dir := filepath.Join(t.TempDir(), "cache")
		var computed atomic.Int64
		filling := draw(t, Stream(context.Background(), openTestCache(t, dir, dtype, numberedSteps(&computed)).Steps(), cfg), 99)
		n := computed.Load()
		full := draw(t, Stream(context.Background(), openTestCache(t, dir, dtype, numberedSteps(&computed)).Steps(), cfg), 99)
		if computed.Load() != n || n != 8 {
			t.Errorf("%s: %d steps computed, then %d more", dtype, n, computed.Load()-n)
		}
		if !sameBatches(filling, full) {
			t.Errorf("%s: what is written differs from what is read", dtype)
		}
		if dtype == CacheFloat32 && !sameBatches(full, want) {
			t.Error("float32: the cache differs from the model")
		}
		for i := range want {
			for l := range want[i].In {
				for j, x := range want[i].In[l] {
					row := want[i].In[l][j/3*3:][:3]
					bound := map[string]float64{CacheFloat32: 0, CacheBFloat16: math.Abs(float64(x)) / 256, CacheInt8: float64(slices.Max(row)) / 253}[dtype]
					if d := math.Abs(float64(x - full[i].In[l][j])); d > bound {
						t.Fatalf("%s: %g became %g", dtype, x, full[i].In[l][j])
					}
				}
			}
		}
	}
}

// A file that was cut, changed or never finished is computed again.
func TestCacheMends(t *testing.T) {
	dir := t.TempDir()
	var computed atomic.Int64
	var told []string
	c := openTestCache(t, dir, CacheInt8, numberedSteps(&computed))
	c.Damaged = func(file string, why error) { told = append(told, file) }
	ctx := context.Background()
	want, err := c.step(ctx, 7)
	if err != nil {
		t.Fatal(err)
	}
	path := c.path(7)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"flipped": func() error {
			b := slices.Clone(whole)
			b[len(b)-5] ^= 4
			return os.WriteFile(path, b, 0o644)
		},
		"cut":                  func() error { return os.Truncate(path, int64(len(whole)/2)) },
		"emptied":              func() error { return os.Truncate(path, 0) },
		"killed while writing": func() error { return os.Rename(path, filepath.Join(dir, ".step-00000007.safetensors.1-0.tmp")) },
	} {
		before := computed.Load()
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		got, err := c.step(ctx, 7)
		if err != nil || computed.Load() != before+1 || !sameBatches([]Batch{got}, []Batch{want}) {
			t.Errorf("%s: %v, %d computed", name, err, computed.Load()-before)
		}
		if now, err := os.ReadFile(path); err != nil || !slices.Equal(now, whole) {
			t.Errorf("%s: the file is not as before: %v", name, err)
		}
	}
	if len(told) != 3 {
		t.Errorf("told of %v, want three damaged files", told)
	}
}

func TestCacheRefusals(t *testing.T) {
	dir := t.TempDir()
	openTestCache(t, dir, CacheFloat32, numberedSteps(nil))
	for want, change := range map[string]func(k *CacheKey){
		"its model is m, this run has other":  func(k *CacheKey) { k.Model = "other" },
		"its tokenizer is t":                  func(k *CacheKey) { k.Tokenizer = "" },
		"its read point is mlp.hook_in":       func(k *CacheKey) { k.Read = string(gpt2.ResidMid) },
		"its texts is x":                      func(k *CacheKey) { k.Texts = "y" },
		"its order seed is 1, this run has 2": func(k *CacheKey) { k.Seed = 2 },
		"its window is 6":                     func(k *CacheKey) { k.Window = 7 },
		"its dtype is float32":                func(k *CacheKey) { k.DType = CacheInt8 },
		`dtype is "f8", must be one of`:       func(k *CacheKey) { k.DType = "f8" },
	} {
		k := testKey(CacheFloat32)
		change(&k)
		if _, err := OpenCache(dir, k, numberedSteps(nil), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.doc"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCache(other, testKey(CacheInt8), numberedSteps(nil), nil); err == nil || !strings.Contains(err.Error(), "a folder of its own") {
		t.Errorf("a folder with other files: %v", err)
	}
	c := openTestCache(t, dir, CacheFloat32, numberedSteps(nil))
	err := c.Fits(1<<20, 100<<20)
	for _, want := range []string{"needs 480.0 MiB for 10485760 tokens in float32", "budget is 100.0 MiB", "bfloat16, which takes 240.0 MiB", "int8, which takes 280.0 MiB"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("over the budget: %v, want %q", err, want)
		}
	}
	if err := c.Fits(10, 1<<20); err != nil {
		t.Error(err)
	}
	nan := numberedSteps(nil)
	nan.Step = func(ctx context.Context, step int) (Batch, error) {
		b, err := numberedSteps(nil).Step(ctx, step)
		b.Out[1][4] = float32(math.NaN())
		return b, err
	}
	bad := openTestCache(t, t.TempDir(), CacheInt8, nan)
	if _, err := bad.step(context.Background(), 0); err == nil || !strings.Contains(err.Error(), "layer 1") {
		t.Errorf("a value that is no number: %v", err)
	}
}

func TestBFloat16Rounding(t *testing.T) {
	for x, want := range map[float32]float32{1: 1, 1.00390625: 1, 1.01171875: 1.015625, -3.14159: -3.140625, 0: 0, math.MaxFloat32: float32(math.Inf(1))} {
		if got := fromBFloat16(toBFloat16(x)); got != want {
			t.Errorf("%g became %g, want %g", x, got, want)
		}
	}
	if got := fromBFloat16(toBFloat16(float32(math.NaN()))); got == got {
		t.Errorf("NaN became %g", got)
	}
}
