package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// prompt p1 of the reference activations of tiny2.
const p1 = "acts_p1_f64.safetensors"

func p1IDs(t *testing.T) string {
	t.Helper()
	var meta struct {
		Prompts []struct {
			Name string  `json:"name"`
			IDs  []int32 `json:"ids"`
		} `json:"prompts"`
	}
	data, err := os.ReadFile(filepath.Join(tiny2, "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &meta); err != nil {
		t.Fatal(err)
	}
	for _, p := range meta.Prompts {
		if p.Name == "p1" {
			ids := idList(p.IDs)
			return ids.String()
		}
	}
	t.Fatal("meta.json has no ids of p1")
	return ""
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %.200q", err, text)
	}
	if d.More() {
		t.Fatalf("more than one JSON value: %.200q", text)
	}
	return v
}

func openTensors(t *testing.T, path string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// run -hooks all in float64 against the reference implementation, hook by hook.
func TestRunHooks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "sub", "acts.safetensors")
	must(t, tiny("run", "-ids", p1IDs(t), "-hooks", "all", "-dtype", "f64", "-o", out)...)
	got, want := openTensors(t, out), openTensors(t, filepath.Join(tiny2, p1))
	compared := 0
	for _, name := range want.Names() {
		if strings.HasPrefix(name, "loss") {
			continue
		}
		a, err := got.Float64(name)
		if err != nil {
			t.Fatalf("%s: %v; the file has %v", name, err, got.Names())
		}
		b, _ := want.Float64(name)
		ia, _ := got.Info(name)
		ib, _ := want.Info(name)
		if !slices.Equal(ia.Shape, ib.Shape) || ia.DType != "F64" {
			t.Errorf("%s is %v %s, want %v F64", name, ia.Shape, ia.DType, ib.Shape)
			continue
		}
		for i := range b {
			if math.Abs(a[i]-b[i]) > 1e-9 {
				t.Errorf("%s[%d] is %g, want %g", name, i, a[i], b[i])
				break
			}
		}
		compared++
	}
	if compared < 60 {
		t.Errorf("compared %d tensors only", compared)
	}
	some := filepath.Join(t.TempDir(), "some.safetensors")
	must(t, tiny("run", "-ids", "1,2", "-hooks", "blocks.0.hook_mlp_out,blocks.3.*", "-o", some)...)
	names := openTensors(t, some).Names()
	if !slices.Contains(names, "blocks.0.hook_mlp_out") || !slices.Contains(names, "blocks.3.hook_resid_post") || slices.Contains(names, "blocks.1.hook_mlp_out") {
		t.Errorf("asked for some hooks, got %v", names)
	}
}

func TestRunPredictions(t *testing.T) {
	type prediction struct {
		ID    int32
		Token string
		Prob  float64
		Logit float64
	}
	r := decode[struct {
		IDs []int32
		Top []prediction
	}](t, must(t, tiny("run", "-ids", "96,3,4", "-json", "-top", "4")...))
	if len(r.Top) != 4 || r.Top[0].Prob < r.Top[1].Prob || !slices.Equal(r.IDs, []int32{96, 3, 4}) {
		t.Errorf("predictions %+v", r)
	}
	text := must(t, tiny("run", "-ids", "96,3,4")...)
	if !strings.Contains(text, "probability") || strings.Count(text, "\n") != topDefault+2 {
		t.Errorf("for people: %q", text)
	}
	replaced := decode[struct{ Top []prediction }](t, must(t, joined("run", "-ids", "96,3,4", "-json")...))
	if replaced.Top[0].Logit == r.Top[0].Logit {
		t.Error("the replacement model gives the logits of the original")
	}
}

func TestGenerate(t *testing.T) {
	type generated struct {
		IDs      []int32
		Logprobs []float64
		New      int
		Diverges *wire.Divergence
	}
	call := func(more ...string) generated {
		return decode[generated](t, must(t, tiny("generate", append([]string{"-ids", "96,3,4", "-n", "6", "-json"}, more...)...)...))
	}
	greedy := call()
	if len(greedy.IDs) != 9 || len(greedy.Logprobs) != 6 || greedy.New != 6 {
		t.Errorf("greedy: %+v", greedy)
	}
	if again := call(); !slices.Equal(again.IDs, greedy.IDs) {
		t.Errorf("greedy twice: %v and %v", greedy.IDs, again.IDs)
	}
	a, b, c := call("-temperature", "2", "-seed", "1"), call("-temperature", "2", "-seed", "1"), call("-temperature", "2", "-seed", "2")
	if !slices.Equal(a.IDs, b.IDs) || slices.Equal(a.IDs, c.IDs) {
		t.Errorf("seeds 1, 1, 2 give %v, %v, %v", a.IDs, b.IDs, c.IDs)
	}
	if replaced := call("-clt", transcoder); slices.Equal(replaced.Logprobs, greedy.Logprobs) {
		t.Error("the replacement model has the log-probabilities of the original")
	}
	for _, more := range [][]string{nil, {"-temperature", "2", "-seed", "1"}} { // both with the same draws
		whole, replaced := call(more...), call(append(more, "-clt", transcoder)...)
		at := -1
		for i := range whole.IDs {
			if whole.IDs[i] != replaced.IDs[i] {
				at = i
				break
			}
		}
		d := replaced.Diverges
		if whole.Diverges != nil || d == nil || d.Pos != at || at >= 0 && (d.ID != replaced.IDs[at] || d.Original != whole.IDs[at]) {
			t.Errorf("%v and %v diverge at %d: %+v", whole.IDs, replaced.IDs, at, d)
		}
	}
	edited := call("-clt", transcoder, "-edit", "0,1:,9=5")
	if slices.Equal(edited.Logprobs, greedy.Logprobs) {
		t.Error("an edit changes nothing")
	}
	if plain := must(t, tiny("generate", "-ids", "96,3", "-n", "2")...); len(strings.Split(plain, ",")) != 4 {
		t.Errorf("without a tokenizer the ids are shown: %q", plain)
	}
}

func TestEncode(t *testing.T) {
	type active struct {
		Layer, Pos, Index *int
		Value             *float64
	}
	list := decode[[]active](t, must(t, joined("encode", "-ids", "96,3,4,5", "-json")...))
	if len(list) < 10 {
		t.Fatalf("%d active features", len(list))
	}
	last := -1
	for _, a := range list {
		order := (*a.Layer*100+*a.Pos)*1000 + *a.Index
		if order <= last || *a.Pos == 0 || *a.Value <= 0 {
			t.Errorf("feature %d/%d/%d with %g after %d", *a.Layer, *a.Pos, *a.Index, *a.Value, last)
		}
		last = order
	}
}

// makeGraph writes a whole graph and the public one.
func makeGraph(t *testing.T, more ...string) (whole, public string) {
	t.Helper()
	dir := t.TempDir()
	whole, public = filepath.Join(dir, "g.safetensors"), filepath.Join(dir, "g.json")
	must(t, joined("attribute", append([]string{"-ids", "96,3,4,5", "-o", whole, "-o", public}, more...)...)...)
	return whole, public
}

func TestAttribute(t *testing.T) {
	whole, public := makeGraph(t, "-dtype", "f64")
	g, err := engine.LoadGraph(whole)
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := g.CheckRows(); e < 0 || e > 1e-10 {
		t.Errorf("row identity %g", e)
	}
	small, err := engine.LoadGraph(public)
	if err != nil {
		t.Fatal(err)
	}
	if len(small.Nodes) >= len(g.Nodes) || small.Settings.NodeCut != attribution.DefaultPruneConfig().Node {
		t.Errorf("public graph has %d of %d nodes, cut at %g", len(small.Nodes), len(g.Nodes), small.Settings.NodeCut)
	}
	again, _ := makeGraph(t, "-dtype", "f64")
	a, _ := os.ReadFile(whole)
	b, _ := os.ReadFile(again)
	if !bytes.Equal(a, b) {
		t.Error("the same call twice gives different bytes")
	}
	compat, _ := makeGraph(t, "-compat", "circuit-tracer")
	if g, err = engine.LoadGraph(compat); err != nil {
		t.Fatal(err)
	}
	if g.Count(attribution.Position) != 0 || g.Count(attribution.Bias) != 0 || g.Count(attribution.Error) != 16 {
		t.Errorf("compat: %d positions, %d bias, %d errors", g.Count(attribution.Position), g.Count(attribution.Bias), g.Count(attribution.Error))
	}
	info := decode[struct {
		Path  string
		Nodes int
		Score struct {
			Row float64 `json:"row_identity_max_error"`
		}
	}](t, must(t, joined("attribute", "-ids", "96,3,4", "-targets", "5,6-7", "-json")...))
	if info.Nodes == 0 || info.Path != "" || info.Score.Row > 1e-4 {
		t.Errorf("without a file: %+v", info)
	}
}

func TestPruneAndScore(t *testing.T) {
	whole, public := makeGraph(t)
	type kept struct {
		Total int `json:"total_nodes"`
		Nodes []struct {
			Node       int
			Kind       string
			Influence  float64
			Cumulative float64 `json:"cumulative_influence"`
		}
		Edges []struct {
			Target, Source int
			Weight, Score  float64
		}
		Score map[string]float64
	}
	dir := t.TempDir()
	again := filepath.Join(dir, "p.json")
	k := decode[kept](t, must(t, "prune", whole, "-json", "-o", again))
	a, _ := os.ReadFile(public)
	b, _ := os.ReadFile(again)
	if !bytes.Equal(a, b) {
		t.Error("prune and attribute write different public graphs")
	}
	g, err := engine.LoadGraph(whole)
	if err != nil {
		t.Fatal(err)
	}
	if k.Total != len(g.Nodes) || len(k.Nodes) == 0 || len(k.Edges) == 0 {
		t.Fatalf("%d nodes and %d edges of %d", len(k.Nodes), len(k.Edges), k.Total)
	}
	for _, e := range k.Edges {
		if e.Weight != g.Weight(e.Target, e.Source) || e.Weight == 0 {
			t.Errorf("edge %d to %d has %g, the graph %g", e.Source, e.Target, e.Weight, g.Weight(e.Target, e.Source))
		}
	}
	for _, n := range k.Nodes {
		if n.Kind != g.Nodes[n.Node].Kind.String() {
			t.Errorf("node %d is a %s, the graph has a %s", n.Node, n.Kind, g.Nodes[n.Node].Kind)
		}
	}
	all := decode[kept](t, must(t, "prune", whole, "-json", "-node", "1", "-edge", "1"))
	if len(all.Nodes) < len(k.Nodes) || len(all.Edges) < len(k.Edges) {
		t.Errorf("higher thresholds keep %d nodes, %d edges; lower %d, %d", len(all.Nodes), len(all.Edges), len(k.Nodes), len(k.Edges))
	}
	s := decode[map[string]float64](t, must(t, "score", "-json", whole))
	for _, name := range []string{"replacement", "completeness", "completeness_ct", "path_length", "row_identity_max_error"} {
		if _, ok := s[name]; !ok {
			t.Errorf("score has no %s: %v", name, s)
		}
	}
	if !strings.Contains(must(t, "score", whole), "every row adds up") {
		t.Error("the score does not say that rows add up")
	}
}

func TestIntervene(t *testing.T) {
	out := filepath.Join(t.TempDir(), "effect.safetensors")
	type response struct {
		Before, After []struct{ ID int }
		Tracked       []struct {
			Predicted float64 `json:"predicted_change"`
			Measured  float64 `json:"measured_change"`
			Control   *struct{ Draws int }
		}
		Frozen []string
	}
	r := decode[response](t, must(t, joined("intervene", "-ids", "96,3,4,5", "-edit", "0,1,9=0", "-edit", "1,2:,3*2", "-control", "3", "-dtype", "f64", "-json", "-o", out)...))
	if len(r.Before) != topDefault || len(r.Tracked) != 1 || r.Tracked[0].Control == nil || r.Tracked[0].Control.Draws != 3 || len(r.Frozen) == 0 {
		t.Fatalf("%+v", r)
	}
	if d := math.Abs(r.Tracked[0].Predicted - r.Tracked[0].Measured); d > 1e-9 {
		t.Errorf("edges predict %g, measured %g", r.Tracked[0].Predicted, r.Tracked[0].Measured)
	}
	if got := openTensors(t, out).Names(); !slices.Equal(got, []string{"logits_after", "logits_before", "preact_after", "preact_before"}) {
		t.Errorf("file has %v", got)
	}
	for _, mode := range []string{"iterative", "live"} {
		must(t, joined("intervene", "-ids", "96,3,4,5", "-edit", "0,1,9=0", "-mode", mode)...)
	}
}

func TestDiff(t *testing.T) {
	whole, _ := makeGraph(t)
	other := filepath.Join(t.TempDir(), "o.safetensors")
	must(t, joined("attribute", "-ids", "96,3,4,6", "-o", other)...)
	if out := must(t, "diff", whole, whole); out != "the same\n" {
		t.Errorf("a graph and itself: %q", out)
	}
	d := decode[map[string]json.RawMessage](t, must(t, "diff", "-json", whole, other))
	if string(d["same"]) != "false" || string(d["nodes_gained"]) == "[]" {
		t.Errorf("two graphs: %s", d["nodes_gained"])
	}
	must(t, "diff", whole, other)
}

// Samples, penalty, stop tokens and a text longer than the context.
func TestGenerateFlags(t *testing.T) {
	args := []string{"generate", "-backend", "go", "-prompt", "The cat", "-n", "6", "-temperature", "1.5", "-seed", "3"}
	res := decode[wire.GenerateResponse](t, must(t, append(args, "-samples", "3", "-repetition-penalty", "1.3", "-json")...))
	if len(res.More) != 2 || res.New != 6 || len(res.More[1].Logprobs) != 6 || res.Text == res.More[0].Text {
		t.Errorf("%+v", res)
	}
	stopped := decode[wire.GenerateResponse](t, must(t, append(args, "-repetition-penalty", "1.3", "-stop", fmt.Sprint(res.IDs[len(res.IDs)-6]), "-json")...))
	if stopped.New != 1 {
		t.Errorf("%d tokens although the first was to stop it", stopped.New)
	}
	long := decode[wire.GenerateResponse](t, must(t, append(args, "-n", "80", "-slide", "-json")...))
	if long.New != 80 { // the pocket model's context is 64
		t.Errorf("%d new tokens, want 80", long.New)
	}
}
