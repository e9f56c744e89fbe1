package clt

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/gomlx/gomlx/core/tensors"
)

// The counted threshold lies between the k-th and the next value of a sort.
func TestBatchThreshold(t *testing.T) {
	b := goBackend(t)
	for _, c := range []struct {
		n, want int
		start   float64
	}{{1000, 1, 0}, {1000, 40, 0}, {1000, 40, 0.01}, {1000, 40, 50}, {5000, 1200, 1}, {64, 20, 3}} {
		h1, h2 := normals(uint64(c.n), c.n), normals(uint64(c.n+1), c.n)
		for i := range h2 {
			h2[i] = 3*h2[i] - 2
		}
		got := call(t, b, func(in []*graph.Node) []*graph.Node {
			return []*graph.Node{batchThreshold(in[:2], c.want, 0, 60, in[2])}
		}, tensors.FromFlatDataAndDimensions(h1, c.n/4, 4), tensors.FromFlatDataAndDimensions(h2, c.n/8, 8), c.start)
		all := slices.Concat(h1, h2)
		slices.SortFunc(all, func(a, b float64) int { return cmpFloat(b, a) })
		if v := float64s(got[0])[0]; v >= all[c.want-1] || v < all[c.want] {
			t.Errorf("want %d of %d from %g: threshold %g is not in [%g, %g)", c.want, len(all), c.start, v, all[c.want], all[c.want-1])
		}
	}
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// With fewer positive entries than wanted, all of them are taken.
func TestThresholdFewPositive(t *testing.T) {
	h := []float64{-1, -2, 0.5, -3, 0.25, -1, -1, -1}
	out := call(t, goBackend(t), func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{batchThreshold(in, 4, 0, 60, graph.Scalar(in[0].Graph(), in[0].DType(), 0.3)), topK(in[0], 3)}
	}, tensors.FromFlatDataAndDimensions(h, 2, 4))
	if v := float64s(out[0])[0]; v < 0 || v >= 0.25 {
		t.Errorf("threshold %g", v)
	}
	if got, want := float64s(out[1]), []float64{0, 0, 0.5, 0, 0.25, 0, 0, 0}; maxDiff(t, got, want) != 0 {
		t.Errorf("topk keeps %v", got)
	}
}

// A signed topk, as circuit-tracer has it, keeps the k largest even where they are
// negative, alike on the host and in a graph, and survives a save.
func TestSignedTopK(t *testing.T) {
	cfg := Config{Layers: 1, DModel: 4, Features: 5, Activation: ActTopK, K: 3, Signed: true, Read: gpt2.MLPIn}
	x := randomTranscoder(t, cfg, 1)
	h := []float64{-3, 2, -1, -4, -2, -0.5, -0.25, -2, -8, -1, 3, 0, 1, 2, -1}
	want := []float64{0, 2, -1, 0, -2, -0.5, -0.25, 0, 0, -1, 3, 0, 1, 2, 0}
	out := call(t, goBackend(t), func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{cfg.Activate(in[0], nil), largest(in[0], 5)}
	}, tensors.FromFlatDataAndDimensions(h, 3, 5))
	if got := float64s(out[0]); maxDiff(t, got, want) != 0 {
		t.Errorf("the graph keeps %v", got)
	}
	if got := float64s(out[1]); maxDiff(t, got, h) != 0 {
		t.Errorf("of as many as there are it keeps %v", got)
	}
	if got := ActivateHost(x, 0, h); maxDiff(t, got, want) != 0 {
		t.Errorf("the host keeps %v", got)
	}
	dir := t.TempDir()
	for _, signed := range []bool{true, false} {
		x.Signed = signed
		if err := x.Save(filepath.Join(dir, fmt.Sprint(signed))); err != nil {
			t.Fatal(err)
		}
		if y, err := Load(filepath.Join(dir, fmt.Sprint(signed))); err != nil || y.Signed != signed {
			t.Errorf("signed %t comes back as %v, %v", signed, y, err)
		}
	}
	cfg.Activation, cfg.K = ActReLU, 0
	if err := cfg.Validate(); err == nil {
		t.Error("a signed relu passes")
	}
}

// TopK by rows keeps exactly the k largest of each row, in both float types.
func TestTopKRows(t *testing.T) {
	const rows, n, k = 200, 64, 5
	h := normals(4, rows*n)
	narrow := make([]float32, len(h))
	for i, v := range h {
		narrow[i] = float32(v)
		h[i] = float64(narrow[i])
	}
	out := call(t, goBackend(t), func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{topK(in[0], k), topK(in[1], k)}
	}, tensors.FromFlatDataAndDimensions(h, rows, n), tensors.FromFlatDataAndDimensions(narrow, rows, n))
	a, a32 := float64s(out[0]), tensors.MustCopyFlatData[float32](out[1])
	for r := range rows {
		row := h[r*n : (r+1)*n]
		sorted := slices.Clone(row)
		slices.Sort(sorted)
		for i, v := range row {
			want := 0.0
			if v >= sorted[n-k] && v > 0 {
				want = v
			}
			if a[r*n+i] != want || float64(a32[r*n+i]) != want {
				t.Fatalf("row %d entry %d is %g and %g, want %g", r, i, a[r*n+i], a32[r*n+i], want)
			}
		}
	}
}
