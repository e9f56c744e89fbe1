package attribution

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/golden"
)

// TestReferenceFull compares with all reference graphs, where they are there;
// TestReference does so with the two that are stored in testdata.
func TestReferenceFull(t *testing.T) {
	dir := filepath.Join(golden.NeedGolden(t), "attribution")
	var meta struct {
		Sets []struct {
			Name    string
			Prompts map[string]struct {
				Replacement  float64 `json:"replacement_score_f64"`
				Completeness float64 `json:"completeness_score_f64"`
			}
		}
	}
	text := must(os.ReadFile(filepath.Join(dir, "meta.json")))(t)
	if err := json.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	for _, set := range meta.Sets {
		for prompt, scores := range set.Prompts {
			t.Run(set.Name+"/"+prompt, func(t *testing.T) {
				data := must(os.ReadFile(filepath.Join(dir, set.Name, prompt+"_graph_f64.safetensors")))(t)
				s := goldenFrom(t, set.Name, data)
				s.file.metadata = map[string]string{
					"replacement":     strconv.FormatFloat(scores.Replacement, 'g', -1, 64),
					"completeness_ct": strconv.FormatFloat(scores.Completeness, 'g', -1, 64),
				}
				checkReference(t, s)
				if e, worst := s.whole(t).CheckRows(); e > 1e-10 || worst < 0 {
					t.Errorf("row identity off by %v", e)
				}
				path := filepath.Join(dir, set.Name, "json_"+prompt, "*-"+prompt+".json")
				for _, path := range must(filepath.Glob(path))(t) {
					g, _ := readJSON(t, must(os.ReadFile(path))(t))
					checkAgainst(t, s, must(s.g.Select(DefaultPruneConfig()))(t), g)
				}
			})
		}
	}
}
