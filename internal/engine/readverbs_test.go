package engine

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

func TestTensorsVerb(t *testing.T) {
	s, file := testService(t), filepath.Join(t.TempDir(), "w.safetensors")
	r, err := s.Tensors(t.Context(), wire.TensorsRequest{Setup: tinySetup(), Names: []string{"W_dec_0", "wte.weight"}, Rows: []int{3, 1}, Out: file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j, _, err := s.join(tinySetup())
	if err != nil {
		t.Fatal(err)
	}
	d := j.CLT.DModel
	if shape := r.Shape["W_dec_0"]; !slices.Equal(shape, []int{2, j.CLT.Targets(0), d}) {
		t.Errorf("W_dec_0 has shape %v", shape)
	}
	got, err := f.Float32("W_dec_0")
	if size := j.CLT.Targets(0) * d; err != nil || !slices.Equal(got[:size], j.CLT.WDec[0][3*size:4*size]) {
		t.Errorf("row 3 of W_dec_0 is another, %v", err)
	}
	wte, err := f.Float64("wte.weight")
	whole, werr := j.LM.Weight("wte.weight")
	if err != nil || werr != nil || !slices.Equal(wte[d:], whole.Float64s()[d:2*d]) {
		t.Errorf("row 1 of wte is another, %v, %v", err, werr)
	}
	for want, req := range map[string]wire.TensorsRequest{
		"no weight":      {Names: []string{"W_up_0"}, Out: file},
		"name the":       {Out: file},
		"which has":      {Names: []string{"b_enc_0"}, Rows: []int{1 << 20}, Out: file},
		"W_enc_L, b_enc": {Names: []string{"W_enc_99"}, Out: file},
	} {
		req.Setup = tinySetup()
		if _, err := s.Tensors(t.Context(), req, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", req.Names, err, want)
		}
	}
}

// The last stage of the lens is the model, and the parts of a logit add up to it.
func TestLensVerb(t *testing.T) {
	s := testService(t)
	r, err := s.Lens(t.Context(), wire.LensRequest{Setup: tinySetup(), Prompt: tinyPrompt}, nil)
	if err != nil {
		t.Fatal(err)
	}
	run, err := s.Run(t.Context(), wire.RunRequest{Setup: tinySetup(), Prompt: tinyPrompt, Top: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := len(r.Stages) - 1
	if r.Answer.ID != run.Top[0].ID || math.Abs(r.Answer.Logit-run.Top[0].Logit) > 1e-4 || r.Rank[last] != 1 || math.Abs(r.Prob[last]-run.Top[0].Prob) > 1e-5 {
		t.Errorf("the last stage says %+v at rank %d, the model %+v", r.Answer, r.Rank[last], run.Top[0])
	}
	sum := 0.0
	for _, p := range r.Parts {
		sum += p.Value
	}
	if math.Abs(sum-r.Centred) > 1e-6 || math.Abs(r.Centred) < 1e-3 {
		t.Errorf("the parts add up to %g, the centred logit is %g", sum, r.Centred)
	}
	if r.Stages[0] != "embedding" || len(r.Top) != len(r.Stages) || len(r.Top[0]) != len(tinyPrompt.IDs) {
		t.Errorf("stages %v, %d rows", r.Stages, len(r.Top))
	}
	if slices.Max(r.Rank) == 1 {
		t.Error("the answer is first at every stage; the lens shows nothing")
	}
	if _, err := s.Lens(t.Context(), wire.LensRequest{Prompt: wire.Prompt{Text: " The"}, Track: " The capital"}, nil); err == nil || !strings.Contains(err.Error(), "leading space") {
		t.Errorf("two tokens: %v", err)
	}
}

func TestStatusVerb(t *testing.T) {
	s := testService(t)
	r, err := s.Status(t.Context(), wire.Empty{}, nil)
	if err != nil || len(r.Models) != 0 {
		t.Fatalf("a new service holds %+v, %v", r.Models, err)
	}
	if _, err := s.Encode(t.Context(), wire.EncodeRequest{Setup: tinySetup(), Prompt: tinyPrompt}, nil); err != nil {
		t.Fatal(err)
	}
	r, err = s.Status(t.Context(), wire.Empty{}, nil)
	if err != nil || len(r.Models) != 2 || r.Models[0].Kind != "model" || r.Models[0].DType != "f64" || r.Models[1].Parameters == 0 || len(r.Backends) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
