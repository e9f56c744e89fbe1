package gpt2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
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

// trainee is a small shape and recipe.
func trainee() (Config, TrainConfig) {
	shape := Config{Layers: 2, DModel: 16, Heads: 2, DMLP: 32, DVocab: 23, Context: 12, LayerNormEps: 1e-5, TieEmbeddings: true, BOS: 0}
	cfg := DefaultTextConfig()
	cfg.Steps, cfg.Batch, cfg.Window, cfg.Warmup, cfg.SaveEvery, cfg.EvalEvery = 8, 4, 12, 2, 3, 0
	return shape, cfg
}

// TestResumeEqualsUninterrupted stops a run, continues it in a new model and
// compares the weights bit for bit, with and without gradient accumulation.
func TestResumeEqualsUninterrupted(t *testing.T) {
	for _, parts := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d parts", parts), func(t *testing.T) { resumeEqualsUninterrupted(t, parts) })
	}
}

func resumeEqualsUninterrupted(t *testing.T, parts int) {
	shape, cfg := trainee()
	cfg.Accumulate = parts
	b := testbackend.Open(t, "go")
	data := TrainData{Windows: randomWindows(shape.DVocab, cfg.Batch, cfg.Window)}
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
	data.Digest = "other"
	if err := Train(t.Context(), start(), data, cfg, path, nil); err == nil || !strings.Contains(err.Error(), "other texts") {
		t.Errorf("a checkpoint of other texts: %v", err)
	}
	data.Digest = ""
	cfg.LR *= 2
	if err := Train(t.Context(), start(), data, cfg, path, nil); err == nil {
		t.Error("a checkpoint of another configuration was accepted")
	}
}

// TestAccumulationIsTheBatch trains with the batch whole and in parts.
func TestAccumulationIsTheBatch(t *testing.T) {
	shape, cfg := trainee()
	run := func(parts int) (losses []float64, p Params) {
		m, err := Untrained(testbackend.Open(t, "go"), shape, 5)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Accumulate = parts
		data := TrainData{Windows: randomWindows(shape.DVocab, cfg.Batch, cfg.Window)}
		if err := Train(t.Context(), m, data, cfg, "", func(p TrainProgress) { losses = append(losses, p.Loss, p.GradNorm) }); err != nil {
			t.Fatal(err)
		}
		if p, err = m.Params(); err != nil {
			t.Fatal(err)
		}
		return losses, p
	}
	want, weights := run(1)
	for _, parts := range []int{2, 4} {
		got, w := run(parts)
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-4 {
				t.Errorf("%d parts: loss or norm %d is %.7g, whole %.7g", parts, i, got[i], want[i])
			}
		}
		for name, a := range weights {
			for i := range a.Len() {
				// Adam turns the rounding of a gradient near zero into up to a learning rate.
				if math.Abs(w[name].At(i)-a.At(i)) > 5e-4 {
					t.Fatalf("%d parts: %s[%d] is %.7g, whole %.7g", parts, name, i, w[name].At(i), a.At(i))
				}
			}
		}
	}
}

// TestValidation measures held-out windows on time and equal to the loss by hand,
// and its presence does not change what is learnt.
func TestValidation(t *testing.T) {
	shape, cfg := trainee()
	train := func(held [][]int32) (*Model, map[int]float64) {
		m, err := Untrained(testbackend.Open(t, "go"), shape, 5)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]float64{}
		err = Train(t.Context(), m, TrainData{Windows: randomWindows(shape.DVocab, cfg.Batch, cfg.Window), Held: held}, cfg, "", func(p TrainProgress) {
			if p.Validation != nil {
				seen[p.Step] = *p.Validation
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return m, seen
	}
	cfg.EvalEvery = 3
	held, _ := randomWindows(shape.DVocab, 7, cfg.Window)(1000) // no multiple of the batch
	m, seen := train(held)
	if len(seen) != 3 || seen[3] == 0 || seen[6] == 0 || seen[8] == 0 {
		t.Fatalf("validations %v, want steps 3, 6, 8", seen)
	}
	sum, n := 0.0, 0
	for _, w := range held {
		c, err := m.RunWithCache(w)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(w) - 1 {
			row := c.Logits.Float64s()[i*shape.DVocab : (i+1)*shape.DVocab]
			sum -= LogProbs(row)[w[i+1]]
			n++
		}
	}
	if want := sum / float64(n); math.Abs(seen[8]-want) > 1e-5 {
		t.Errorf("validation %.7g, by hand %.7g", seen[8], want)
	}
	plain, none := train(nil)
	if len(none) != 0 || hashParams(t, plain) != hashParams(t, m) {
		t.Error("validation changed the training, or happened without windows")
	}
}

func TestDecays(t *testing.T) {
	want := map[string]bool{"/h.0.attn.c_attn.weight": true, "h.3.mlp.c_proj.weight": true, "lm_head.weight": true,
		"wte.weight": false, "wpe.weight": false, "h.0.ln_1.weight": false, "h.0.attn.c_attn.bias": false, "ln_f.weight": false}
	for name, w := range want {
		if Decays(name) != w {
			t.Errorf("%s decays: %v", name, !w)
		}
	}
}

func TestTrainConfigRefusals(t *testing.T) {
	for want, change := range map[string]func(*TrainConfig){
		"steps": func(c *TrainConfig) { c.Steps = 0 }, "window": func(c *TrainConfig) { c.Window = 1 },
		"equal parts": func(c *TrainConfig) { c.Accumulate = 3 }, "weight_decay": func(c *TrainConfig) { c.WeightDecay = -1 },
		"lr is": func(c *TrainConfig) { c.LR = math.NaN() }, "clip_norm": func(c *TrainConfig) { c.ClipNorm = -1 },
	} {
		c := DefaultTextConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
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

// A checkpoint that another program cuts off while it is loaded is an error, not the
// end of the process.
func TestCheckpointCutWhileLoading(t *testing.T) {
	for _, double := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "saved")
		if err := loadOn(t, "go", "testdata/tiny2", false).Save(dir); err != nil {
			t.Fatal(err)
		}
		ckpt, err := openCheckpoint(dir)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := ReadConfig(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = eachParam(ckpt, cfg, double, func(string, Array) error {
			n++
			return os.Truncate(filepath.Join(dir, "model.safetensors"), 100)
		})
		if err == nil || !strings.Contains(err.Error(), "model.safetensors") || n > 1 {
			t.Errorf("%d tensors, then %v; want an error that names the file after the first", n, err)
		}
		ckpt.Close()
	}
}
