package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// The practice run leaves all that the original project's did, and a page.
func TestPractice(t *testing.T) {
	testenv.Slow(t)
	dir := t.TempDir()
	run := func(name string) string {
		out := filepath.Join(dir, name)
		must(t, "practice", "-backend", "go", "-steps", "6", "-batch", "256", "-features", "32", "-o", out)
		return out
	}
	out := run("a")
	for _, name := range []string{"training_metrics.json", "training_metrics.svg", "params.json", "params.txt", "evaluation.json",
		"feature_activations_1.html", "feature_activations_3.html", "attribution_graph_1.svg", "attribution_graph_3.json",
		"model_comparison.svg", "model_comparison.html", "model_comparison.json", "index.html", "cross_layer_transcoder/clt.json"} {
		b, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || len(b) == 0 {
			t.Errorf("%s: %v, %d bytes", name, err, len(b))
		}
		if bytes.Contains(b, []byte(dir)) {
			t.Errorf("%s names a folder of this machine", name)
		}
	}
	var m trainingMetrics
	b, _ := os.ReadFile(filepath.Join(out, "training_metrics.json"))
	if err := json.Unmarshal(b, &m); err != nil || len(m.TotalLoss) != 6 || len(m.LearningRate) != 6 || m.NMSE[5] >= m.NMSE[0] {
		t.Errorf("%v: %+v", err, m)
	}
	var list []comparison
	b, _ = os.ReadFile(filepath.Join(out, "model_comparison.json"))
	if err := json.Unmarshal(b, &list); err != nil || len(list) != practiceFigures || list[0].KL <= 0 || list[0].Original == "" || list[0].Replaced == "" {
		t.Errorf("%v: %+v", err, list)
	}
	if v := must(t, "validate", filepath.Join(out, "attribution_graph_1.json"), filepath.Join(out, "cross_layer_transcoder")); strings.Count(v, ": ok") != 2 {
		t.Errorf("%q", v)
	}
	names := []string{"model_comparison.json", "attribution_graph_1.json", "index.html"}
	first := map[string][]byte{}
	for _, name := range names {
		first[name], _ = os.ReadFile(filepath.Join(out, name))
	}
	run("a") // over the old one
	for _, name := range names {
		if b, _ := os.ReadFile(filepath.Join(out, name)); !bytes.Equal(b, first[name]) {
			t.Errorf("%s differs between two runs of the same seed", name)
		}
	}
}

// Samples come from paragraphs and lines, as many as were asked for.
func TestPracticeSamples(t *testing.T) {
	dir := t.TempDir()
	txt, lines := filepath.Join(dir, "a.txt"), filepath.Join(dir, "b.jsonl")
	writeTestFile(t, txt, "one\nstill one\n\ntwo\n\n\nthree\n")
	writeTestFile(t, lines, "{\"text\":\"four\"}\n\n{\"text\":\"five\"}\n")
	for _, c := range []struct {
		num     int
		percent float64
		want    int
	}{{0, 100, 5}, {2, 100, 2}, {9, 100, 5}, {0, 40, 2}, {0, 1, 1}} {
		got, err := samplePicker{files: []string{txt, lines}, num: c.num, percent: c.percent, seed: 1}.pick(t.Context(), nil)
		if err != nil || len(got) != c.want {
			t.Errorf("%d or %g %%: %d samples, %v; want %d", c.num, c.percent, len(got), err, c.want)
		}
	}
	all, _ := samplePicker{files: []string{txt, lines}, percent: 100}.pick(t.Context(), nil)
	if strings.Join(all, "|") != "one\nstill one|two|\nthree\n|four|five" {
		t.Errorf("%q", all)
	}
	if _, err := (samplePicker{files: []string{lines}, percent: 100}).pick(t.Context(), nil); err != nil {
		t.Error(err)
	}
	writeTestFile(t, lines, "{\"text\":\"four\"}\nfive\n")
	if _, err := (samplePicker{files: []string{lines}, percent: 100}).pick(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a bad line: %v", err)
	}
	world, _ := samplePicker{num: 3, percent: 100, seed: 4}.pick(t.Context(), nil)
	if len(world) != 3 || world[0] == world[1] {
		t.Errorf("world: %q", world)
	}
}

// Equal logits are no divergence; a shift of one model's changes nothing but the
// last digits.
func TestComparisonNumbers(t *testing.T) {
	a := [][]float64{{9, 9, 9}, {1, 2, 3}, {0, 4, -1}}
	shifted := [][]float64{{0, 0, 0}, {11, 12, 13}, {-5, -1, -6}}
	var same, other comparison
	same.measure(a, shifted)
	if same.KL > 1e-12 || same.Top1 != 1 || same.Cosine < 1-1e-12 || same.MSE > 1e-12 {
		t.Errorf("shifted: %+v", same)
	}
	other.measure(a, [][]float64{{9, 9, 9}, {3, 2, 1}, {0, 4, -1}})
	// by hand: row 1 is reversed, KL = sum p·(log p - log q) = 0.6652-0.0900 times 2
	if d := other.KL - 0.5751; d > 1e-3 || d < -1e-3 || other.Top1 != 0.5 || other.Cosine > 1e-9 || other.Cosine < -1e-9 {
		t.Errorf("reversed: %+v", other)
	}
}

// An interrupted training keeps its state, says so, and goes on from there.
func TestTrainInterrupted(t *testing.T) {
	testenv.Slow(t)
	out := filepath.Join(t.TempDir(), "clt")
	args := []string{"train", "-backend", "go", "-world", "-features", "32", "-batch", "128", "-steps", "150", "-o", out}
	ctx, cancel := context.WithCancel(context.Background())
	var stderr bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, strings.NewReader(""), io.Discard, &stderr) }()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if b, _ := os.ReadFile(filepath.Join(out, "metrics.jsonl")); bytes.Count(b, []byte("\n")) >= 2 {
			break
		}
	}
	cancel()
	if status := <-done; status != statusInterrupted || !strings.Contains(stderr.String(), "-resume goes on") {
		t.Fatalf("exit %d, %q", status, stderr.String())
	}
	if r := cli(t, args...); r.status != statusFailed || !strings.Contains(r.stderr, "holds an interrupted run") {
		t.Errorf("started over it: exit %d, %q", r.status, r.stderr)
	}
	kept := lineCount(t, filepath.Join(out, "metrics.jsonl"))
	must(t, append(args, "-resume")...)
	if n := lineCount(t, filepath.Join(out, "metrics.jsonl")); n <= kept {
		t.Errorf("%d lines of metrics before, %d after", kept, n)
	}
	must(t, "validate", out)
	must(t, "eval", "-backend", "go", "-clt", out, "-world", "-tokens", "500")
}

// An interrupted language model goes on where it was, to the same weights.
func TestTrainLMResumes(t *testing.T) {
	testenv.Slow(t)
	dir := t.TempDir()
	text := filepath.Join(dir, "text.txt")
	writeTestFile(t, text, strings.Repeat("The cat sat on the mat. The dog sat on the log. ", 400))
	args := func(out string) []string {
		return []string{"train-lm", "-backend", "go", "-texts", text, "-layers", "2", "-d-model", "32", "-heads", "2", "-context", "16",
			"-vocab", "300", "-steps", "60", "-batch", "8", "-o", out}
	}
	whole, out := filepath.Join(dir, "whole"), filepath.Join(dir, "broken")
	must(t, args(whole)...)
	ctx, cancel := context.WithCancel(context.Background())
	var stderr bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, args(out), strings.NewReader(""), io.Discard, &stderr) }()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if b, _ := os.ReadFile(filepath.Join(out, "metrics.jsonl")); bytes.Count(b, []byte("\n")) >= 5 {
			break
		}
	}
	cancel()
	if status := <-done; status != statusInterrupted || !strings.Contains(stderr.String(), "-resume goes on") {
		t.Fatalf("exit %d, %q", status, stderr.String())
	}
	if r := cli(t, args(out)...); r.status != statusFailed || !strings.Contains(r.stderr, "holds an interrupted run") {
		t.Errorf("started over it: exit %d, %q", r.status, r.stderr)
	}
	must(t, append(args(out), "-resume")...)
	want, err := os.ReadFile(filepath.Join(whole, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(out, "model.safetensors")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the resumed run has other weights (%v)", err)
	}
	if n := lineCount(t, filepath.Join(out, "metrics.jsonl")); n != 60 {
		t.Errorf("%d lines of metrics, want 60", n)
	}
}

func lineCount(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

// Text in, a model out that tokenizes, runs and takes a transcoder.
func TestTrainLMOnTexts(t *testing.T) {
	testenv.Slow(t)
	dir := t.TempDir()
	text, lm := filepath.Join(dir, "text.txt"), filepath.Join(dir, "lm")
	writeTestFile(t, text, strings.Repeat("The cat sat on the mat. The dog sat on the log. ", 400))
	must(t, "train-lm", "-backend", "go", "-texts", text, "-layers", "2", "-d-model", "32", "-heads", "2", "-context", "16",
		"-vocab", "300", "-steps", "30", "-batch", "8", "-o", lm)
	out := must(t, "generate", "-backend", "go", "-model", lm, "-prompt", "The cat", "-n", "3")
	if !strings.HasPrefix(out, "The cat") {
		t.Errorf("%q", out)
	}
	if n := lineCount(t, filepath.Join(lm, "metrics.jsonl")); n != 30 {
		t.Errorf("%d lines of metrics, want one a step", n)
	}
	tuned := filepath.Join(dir, "tuned")
	res := decode[map[string]any](t, must(t, "train-lm", "-backend", "go", "-model", lm, "-texts", text, "-context", "12", "-steps", "4", "-batch", "4",
		"-accumulate", "2", "-weight-decay", "0", "-o", tuned, "-json"))
	if loss, ok := res["val_loss"].(float64); !ok || !(loss < 5) { // an untrained model has log 300 = 5.7
		t.Errorf("fine-tuned: %v", res)
	}
	must(t, "generate", "-backend", "go", "-model", tuned, "-prompt", "The cat", "-n", "3")
	tr := filepath.Join(dir, "clt")
	must(t, "train", "-backend", "go", "-model", lm, "-activation", "topk", "-k", "3", "-features", "24", "-steps", "5", "-batch", "64", "-o", tr, text)
	e := decode[map[string]any](t, must(t, "eval", "-backend", "go", "-model", lm, "-clt", tr, "-texts", text, "-tokens", "200", "-json"))
	for _, key := range []string{"nmse", "nmse_layer", "nmse_dim", "l0", "l0_layer", "dead", "dead_layer", "ce", "ce_replaced", "ce_zero", "ce_mean", "kl", "top1", "tokens",
		"ce_neurons", "neuron_thresholds", "cosine", "mse"} {
		if _, ok := e[key]; !ok {
			t.Errorf("eval has no %s: %v", key, e)
		}
	}
	if l0, ok := e["l0"].(float64); !ok || l0 > 3 {
		t.Errorf("l0 is %v, at most 3 features are active", e["l0"])
	}
	out = must(t, "practice", "-backend", "go", "-model", lm, "-texts", text, "-steps", "3", "-batch", "64", "-features", "16",
		"-prompt", "The cat sat", "-o", filepath.Join(dir, "practice"))
	if !strings.Contains(out, "index.html") {
		t.Errorf("%q", out)
	}
}

// Zeros that are given reach the training; those that are not do not.
func TestTrainSettings(t *testing.T) {
	c := &call{given: map[string]bool{"lambda": true, "seed": true}}
	file := filepath.Join(t.TempDir(), "c.json")
	writeTestFile(t, file, `{"seed":7,"warmup":3,"features":64,"k":2,"per_layer":true}`)
	f := flag.NewFlagSet("train", flag.ContinueOnError)
	f.Bool("per-layer", false, "")
	features, k := f.Int("features", 512, ""), f.Int("k", 4, "")
	c.given["k"] = true
	settings, err := configFile(c, f, file)
	if err != nil {
		t.Fatal(err)
	}
	if *features != 64 || *k != 4 || !c.given["per-layer"] {
		t.Errorf("features %d, k %d, per-layer given %v; the file has 64, the command line k", *features, *k, c.given["per-layer"])
	}
	req := trainDefaults()
	c.given["features"] = false
	if err := trainSettings(c, req, settings); err != nil {
		t.Fatal(err)
	}
	if string(req.Config) != `{"lambda":0,"seed":0,"warmup":3}` || req.Steps != 0 || req.LR != 0 || req.Features != 0 {
		t.Errorf("config %s, request %+v", req.Config, req)
	}
	for text, want := range map[string]string{`{"bandwith":1}`: "bandwith", `{"features":"many"}`: "features", `{"seed":1,"seed":2}`: "twice"} {
		writeTestFile(t, file, text)
		if _, err := configFile(c, f, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func trainDefaults() *wire.TrainRequest {
	return &wire.TrainRequest{Features: 512, Steps: 100, LR: 1, Batch: 3, C: 4}
}
