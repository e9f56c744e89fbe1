package engine

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

func testService(t *testing.T) *Service {
	t.Helper()
	s := New()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestShippedTranscoders holds the embedded transcoders to their promises on text
// that no training saw.
func TestShippedTranscoders(t *testing.T) {
	testenv.Slow(t)
	s := testService(t)
	got := map[string]wire.Evaluation{}
	for _, name := range []string{"pocket", "pocket-batchtopk", "pocket-per-layer"} {
		tokens := 10000
		if name == "pocket" {
			tokens = evalTokens // what its card promises is about those that clt eval takes
		}
		e, err := s.Eval(t.Context(), wire.EvalRequest{Setup: wire.Setup{Backend: "go", CLT: name}, World: true, Tokens: tokens}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = e
		t.Logf("%-18s NMSE %.4f, L0 %.2f, dead %.3f, CE %.4f -> %.4f (zero %.2f, mean %.2f, neurons %.2f), KL %.4f, top-1 %.4f",
			name, e.NMSE, e.L0, e.Dead, e.CE, e.CEReplaced, e.CEZero, e.CEMean, *e.CENeurons, e.KL, e.Top1)
		if e.CEReplaced >= *e.CENeurons || e.CEReplaced >= e.CEMean || e.CEReplaced >= e.CEZero || e.KL <= 0 {
			t.Errorf("%s: the replacement is no better than constants or neurons: %+v", name, e)
		}
	}
	if e := got["pocket"]; e.NMSE > 0.0090 || e.L0 > 4.5 || e.Dead > 0.02 || e.Top1 < 0.97 {
		t.Errorf("pocket: NMSE %.4f at L0 %.3f, dead %.3f, top-1 %.4f; promised at most 0.0090 at 4.5, 0.02, and at least 0.97", e.NMSE, e.L0, e.Dead, e.Top1)
	}
	if e := got["pocket-batchtopk"]; e.NMSE > 0.0081 || e.L0 > 8.2 || e.Dead > 0.02 || e.KL > 0.0025 {
		t.Errorf("pocket-batchtopk: NMSE %.4f at L0 %.3f, dead %.3f, KL %.4f; promised at most 0.0081 at 8.2, 0.02, 0.0025", e.NMSE, e.L0, e.Dead, e.KL)
	}
	if clt, plt := got["pocket"], got["pocket-per-layer"]; clt.NMSE > 0.9*plt.NMSE || clt.KL > 0.7*plt.KL {
		t.Errorf("pocket: NMSE %.4f, KL %.4f; the per-layer one has %.4f, %.4f at L0 %.2f", clt.NMSE, clt.KL, plt.NMSE, plt.KL, plt.L0)
	}
}

// TestGraphsOfAllPrompts makes the graph of every demonstration prompt, in float32
// and in float64, and checks its proof, its score, and its file.
func TestGraphsOfAllPrompts(t *testing.T) {
	s := testService(t)
	prompts, err := s.Prompts(t.Context(), wire.Empty{}, nil)
	if err != nil || len(prompts.Prompts) < 12 {
		t.Fatalf("%d prompts, %v", len(prompts.Prompts), err)
	}
	if testing.Short() {
		prompts.Prompts = prompts.Prompts[:3]
	}
	for _, dtype := range []struct {
		name string
		tol  float64
	}{{"f32", 1e-4}, {"f64", 1e-10}} {
		worst := 0.0
		for _, p := range prompts.Prompts {
			out := filepath.Join(t.TempDir(), "graph.safetensors")
			info, err := s.Attribute(t.Context(), wire.AttributeRequest{Setup: wire.Setup{Backend: "go", DType: dtype.name}, Prompt: wire.Prompt{Text: p.Text}, Out: out}, nil)
			if err != nil {
				t.Fatalf("%s: %v", p.Text, err)
			}
			g, err := LoadGraph(out)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Validate(); err != nil {
				t.Errorf("%s: %v", p.Text, err)
			}
			e, _ := g.CheckRows()
			worst = math.Max(worst, e)
			if !(e >= 0 && e <= dtype.tol) {
				t.Errorf("%s: a row misses its value by %g", p.Text, e)
			}
			if sc := info.Score; !(sc.Replacement > 0 && sc.Replacement <= sc.Completeness && sc.Completeness <= 1) {
				t.Errorf("%s: scores %+v", p.Text, sc)
			}
		}
		t.Logf("%s: %d graphs, worst row error %.2g", dtype.name, len(prompts.Prompts), worst)
	}
}

// TestInterventionAgainstControl turns the strongest features of each
// demonstration prompt round and holds the effect against the graph's prediction.
func TestInterventionAgainstControl(t *testing.T) {
	s := testService(t)
	set := wire.Setup{Backend: "go"}
	prompt := wire.Prompt{Text: " The capital of France is"}
	enc, err := s.Encode(t.Context(), wire.EncodeRequest{Setup: set, Prompt: prompt}, nil)
	if err != nil || len(enc.Active) == 0 {
		t.Fatalf("%d active features, %v", len(enc.Active), err)
	}
	a := enc.Active[len(enc.Active)-1]
	edit := editOf(a, "*-1")
	r, err := s.Intervene(t.Context(), wire.InterveneRequest{Setup: set, Prompt: prompt, Edits: []string{edit}, Control: 5, Seed: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := r.Tracked[0]
	if math.Abs(tr.Predicted-tr.Measured) > 1e-3 {
		t.Errorf("the graph predicts %g, measured %g", tr.Predicted, tr.Measured)
	}
	if tr.Control == nil || tr.Control.Draws != 5 || len(r.Frozen) != 3 {
		t.Errorf("control %+v, frozen %v", tr.Control, r.Frozen)
	}
	again, err := s.Intervene(t.Context(), wire.InterveneRequest{Setup: set, Prompt: prompt, Edits: []string{edit}, Control: 5, Seed: 3}, nil)
	if err != nil || *again.Tracked[0].Control != *tr.Control {
		t.Errorf("the same seed gives another control: %+v, %+v, %v", again.Tracked[0].Control, tr.Control, err)
	}
}

func TestReplacementGeneratesLikeTheModel(t *testing.T) {
	s := testService(t)
	req := wire.GenerateRequest{Setup: wire.Setup{Backend: "go"}, Prompt: wire.Prompt{Text: " The capital of France is"}, N: 2}
	a, err := s.Generate(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Replacement = true
	b, err := s.Generate(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Text != " The capital of France is Paris ." || b.Text != a.Text {
		t.Errorf("model %q, replacement %q", a.Text, b.Text)
	}
}

func TestCancelledWorkStops(t *testing.T) {
	s := testService(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Train(ctx, wire.TrainRequest{Setup: wire.Setup{Backend: "go"}, World: true, Steps: 5, Features: 16, Batch: 64, Out: t.TempDir()}, nil)
	if err == nil {
		t.Error("training went on after it was cancelled")
	}
}

func editOf(a wire.Activation, change string) string {
	return fmt.Sprintf("%d,%d,%d%s", a.Layer, a.Pos, a.Index, change)
}
