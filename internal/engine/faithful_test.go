package engine

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// TestFaithfulness: on the pocket model influence predicts ablations, better than
// activation does, and a run that was stopped goes on to the same answer.
func TestFaithfulness(t *testing.T) {
	s := testService(t)
	req := wire.FaithfulnessRequest{Setup: wire.Setup{Backend: "go"}, N: 2, Out: filepath.Join(t.TempDir(), "f.json")}
	if testing.Short() {
		req.Features, req.Draws = 12, 1
	}
	whole, err := s.Faithfulness(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := whole.Predictors; len(p) != 3 || p[0].Spearman < 0.6 || p[0].Spearman < p[2].Spearman+0.3 || whole.Feature.Spearman < 0.5 || !whole.Complete {
		t.Errorf("predictors %+v, features %+v", p, whole.Feature)
	}
	for _, d := range whole.Depths {
		if d.N == 0 || d.StreamCos < 0.3 {
			t.Errorf("%+v", d)
		}
	}
	var part wire.FaithfulnessResponse = whole
	part.Prompts = part.Prompts[:1]
	if err := saveFaithfulness(req.Out, part); err != nil {
		t.Fatal(err)
	}
	req.Resume = true
	resumed, err := s.Faithfulness(t.Context(), req, nil)
	if err != nil || !reflect.DeepEqual(resumed, whole) {
		t.Errorf("a resumed run gives another answer, %v", err)
	}
	req.Seed = 7
	if _, err := s.Faithfulness(t.Context(), req, nil); err == nil || !strings.Contains(err.Error(), "another model, transcoder or setting") {
		t.Errorf("resumed under another seed: %v", err)
	}
	if err := os.WriteFile(req.Out, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Faithfulness(t.Context(), req, nil); err == nil {
		t.Error("half a file is taken")
	}
}
