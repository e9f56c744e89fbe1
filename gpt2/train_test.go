package gpt2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
)

// TestLossGradientsMatchReference compares the gradient of the mean next-token
// loss by every parameter with the stored float64 gradients.
func TestLossGradientsMatchReference(t *testing.T) {
	m := loadOn(t, "go", "testdata/tiny2", true)
	vars, err := m.variables()
	if err != nil {
		t.Fatal(err)
	}
	exec, err := model.NewExec(m.Backend, m.Store, func(scope *model.Scope, tokens *Node) []*Node {
		loss := ReduceAllMean(NextTokenLoss(Forward(scope, m.Config, tokens, nil), tokens))
		var nodes []*Node
		for _, v := range vars {
			nodes = append(nodes, v.NodeValue(tokens.Graph()))
		}
		return Gradient(loss, nodes...)
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := readMeta(t, "testdata/tiny2").Prompts[2].IDs
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(ids, 1, len(ids)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open("testdata/tiny2/grads_p2.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, name := range sortedNames(WeightShapes(m.Config)) {
		want, err := f.Float64("transformer." + name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := FromTensor(out[i])
		if err != nil {
			t.Fatal(err)
		}
		top, worst := 0.0, 0.0
		for j, w := range want {
			top = math.Max(top, math.Abs(w))
			worst = math.Max(worst, math.Abs(got.At(j)-w))
		}
		// The gradient of a key's bias is zero in exact arithmetic.
		if !(worst <= 1e-4*top+1e-9) {
			t.Errorf("%s: gradient differs by %.3g, its largest entry is %.3g", name, worst, top)
		}
	}
}

func randomWindows(vocab, batch, window int) TokenSource {
	return func(step int) ([][]int32, error) {
		r := rand.New(rand.NewPCG(7, uint64(step)))
		list := make([][]int32, batch)
		for i := range list {
			for range window {
				list[i] = append(list[i], int32(r.IntN(vocab)))
			}
		}
		return list, nil
	}
}

func hashParams(t *testing.T, m *Model) string {
	t.Helper()
	p, err := m.Params()
	if err != nil {
		t.Fatal(err)
	}
	s := ""
	for _, name := range sortedNames(p) {
		sum := 0.0
		for i := range p[name].Len() {
			sum += p[name].At(i) * float64(i%97+1)
		}
		s += fmt.Sprintf("%s %x\n", name, math.Float64bits(sum))
	}
	return s
}

// TestResumeEqualsUninterrupted stops a run, continues it in a new model and
// compares the weights bit for bit.
func TestResumeEqualsUninterrupted(t *testing.T) {
	shape := Config{Layers: 2, DModel: 16, Heads: 2, DMLP: 32, DVocab: 23, Context: 12, LayerNormEps: 1e-5, TieEmbeddings: true, BOS: 0}
	cfg := DefaultTrainConfig()
	cfg.Steps, cfg.Batch, cfg.Window, cfg.Warmup, cfg.SaveEvery = 8, 3, 12, 2, 3
	b := testbackend.Open(t, "go")
	data := randomWindows(shape.DVocab, cfg.Batch, cfg.Window)
	start := func() *Model {
		m, err := Untrained(b, shape, 5)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	whole := start()
	var losses []float64
	if err := Train(t.Context(), whole, data, cfg, "", func(p TrainProgress) { losses = append(losses, p.Loss) }); err != nil {
		t.Fatal(err)
	}
	if len(losses) != cfg.Steps || math.Abs(losses[0]-math.Log(23)) > 0.5 {
		t.Errorf("losses %v: want %d, the first near log(23)", losses, cfg.Steps)
	}
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	ctx, cancel := context.WithCancel(t.Context())
	steps := 0
	err := Train(ctx, start(), data, cfg, path, func(TrainProgress) {
		if steps++; steps == 5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted training returned %v", err)
	}
	resumed := start()
	steps = 0
	if err := Train(t.Context(), resumed, data, cfg, path, func(TrainProgress) { steps++ }); err != nil {
		t.Fatal(err)
	}
	if steps != 3 {
		t.Errorf("the resumed run did %d steps, want 3", steps)
	}
	if hashParams(t, whole) != hashParams(t, resumed) {
		t.Error("the resumed run has other weights than the uninterrupted one")
	}
	cfg.LR *= 2
	if err := Train(t.Context(), start(), data, cfg, path, nil); err == nil {
		t.Error("a checkpoint of another configuration was accepted")
	}
}

func TestLearningRateSchedule(t *testing.T) {
	c := DefaultTrainConfig()
	c.Steps, c.Warmup, c.LR, c.MinLR = 1000, 100, 2, 0.5
	for step, want := range map[int]float64{0: 0.02, 99: 2, 100: 2, 550: 1.25, 1000: 0.5} {
		if got := c.LRAt(step); math.Abs(got-want) > 1e-9 {
			t.Errorf("learning rate at step %d is %g, want %g", step, got, want)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	m := loadOn(t, "go", "testdata/tiny2", false)
	dir := filepath.Join(t.TempDir(), "saved")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	again := loadOn(t, "go", dir, false)
	if again.Config != m.Config {
		t.Errorf("config %+v, saved %+v", again.Config, m.Config)
	}
	if hashParams(t, m) != hashParams(t, again) {
		t.Error("weights changed by saving and loading")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("saved files %v, %v", entries, err)
	}
}
