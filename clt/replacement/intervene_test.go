package replacement

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/golden"
)

// checkInterventions repeats the reference's interventions and compares logits
// and activations.
func checkInterventions(t *testing.T, root, gpt2Dir string, tol float64) {
	for _, s := range readMeta(t, filepath.Join(root, "meta.json")).Sets {
		for name, p := range s.Prompts {
			path := filepath.Join(root, s.Name, name+"_interventions_f64.safetensors")
			if _, err := filepath.Glob(path); err != nil || !exists(path) {
				continue
			}
			m := loadSet(t, "go", gpt2Dir, filepath.Join(root, s.Name), true)
			g := openGolden(t, path)
			local, err := m.Localize(p.IDs)
			if err != nil {
				t.Fatal(err)
			}
			for _, iv := range p.Interventions {
				cfg := InterveneConfig{Mode: Live, FreezeAttention: iv.Args.FreezeAttention == nil || *iv.Args.FreezeAttention}
				if r := iv.Args.Layers; len(r) == 2 {
					cfg = InterveneConfig{Mode: Constrained, From: r[0], To: r[1], FreezeAttention: true, FreezeLN: r[1]-r[0] == m.CLT.Layers}
				}
				var edits []Edit
				for _, e := range iv.Edits {
					edits = append(edits, Edit{Feature: clt.Feature{Layer: int(e[0]), Index: int(e[2])}, Pos: int(e[1]), Value: e[3]})
				}
				got, err := local.Intervene(t.Context(), cfg, edits...)
				if err != nil {
					t.Fatalf("%s %s %s: %v", s.Name, name, iv.Name, err)
				}
				d, _ := maxDiff(got.Logits.At, g.floats(iv.Name+".logits"))
				t.Logf("%s %s %s: logits differ by %.2g", s.Name, name, iv.Name, d)
				if !(d <= tol) {
					t.Errorf("%s %s %s: logits differ by %.3g, more than %g", s.Name, name, iv.Name, d, tol)
				}
				if iv.Args.Apply == nil || *iv.Args.Apply {
					continue
				}
				want := g.floats(iv.Name + ".activations")
				size := len(want) / m.CLT.Layers
				for l, pre := range got.Pre {
					if d, at := maxDiff(pre.At, want[l*size:(l+1)*size]); !(d <= tol) {
						t.Errorf("%s %s %s: pre-activation of layer %d differs by %.3g at %d", s.Name, name, iv.Name, l, d, at)
					}
				}
			}
		}
	}
}

func TestInterventionsMatchReference(t *testing.T) {
	checkInterventions(t, "testdata", "../../gpt2/testdata/tiny2", 1e-8)
}

func TestGoldenInterventionsMatchReference(t *testing.T) {
	dir := golden.Dir(t)
	checkInterventions(t, filepath.Join(dir, "attribution"), filepath.Join(dir, "gpt2/tiny2"), 1e-8)
}

// TestColumnsByPerturbation adds each source's own output once more in the frozen
// model and holds the change of every target against the source's column.
func TestColumnsByPerturbation(t *testing.T) {
	sets, _ := filepath.Glob("testdata/*/transcoder")
	for _, s := range sets {
		dir := filepath.Dir(s)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m := loadSet(t, "go", "../../gpt2/testdata/tiny2", dir, true)
			local, err := m.Localize([]int32{96, 23, 43, 4, 79, 94, 33})
			if err != nil {
				t.Fatal(err)
			}
			cfg := DefaultAttributeConfig()
			g, err := local.Attribute(t.Context(), cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			base, err := local.responses(g, -1)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for s, n := range g.Nodes {
				if n.Kind == attribution.Bias || n.Kind == attribution.Logit {
					continue
				}
				moved, err := local.responses(g, s)
				if err != nil {
					t.Fatal(err)
				}
				for i := range g.Nodes {
					if k := g.Nodes[i].Kind; k != attribution.Feature && k != attribution.Logit {
						continue
					}
					if d := math.Abs(moved[i] - base[i] - g.Weight(i, s)); d > worst {
						worst = d
						if d > 1e-10 {
							t.Fatalf("doubling %v moves %v by %.12g, its edge is %.12g", n.ID, g.Nodes[i].ID, moved[i]-base[i], g.Weight(i, s))
						}
					}
				}
			}
			t.Logf("%d columns by perturbation: worst difference %.2g", len(g.Nodes), worst)
		})
	}
}

func TestInterventionEdgeCases(t *testing.T) {
	m := loadSet(t, "go", "../../gpt2/testdata/tiny2", "testdata/clt_relu_resid_mid", true)
	local, err := m.Localize([]int32{96, 23, 43, 4, 79, 94, 33})
	if err != nil {
		t.Fatal(err)
	}
	a := local.Active[5]
	same := Edit{Feature: a.Feature, Pos: a.Pos, Value: a.Value}
	for _, mode := range []string{Constrained, Iterative, Live} {
		cfg := m.DefaultInterveneConfig()
		cfg.Mode = mode
		e, err := local.Intervene(t.Context(), cfg, same)
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := maxDiff(e.Logits.At, local.Logits.F64); d > 1e-12 {
			t.Errorf("%s: setting a feature to its own value moves logits by %g", mode, d)
		}
	}
	for _, bad := range []string{"9,1,0=1", "0,0,0=1", "0,7,0=1", "0,1,32=1"} {
		e, err := ParseEdit(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := local.Intervene(t.Context(), m.DefaultInterveneConfig(), e); err == nil {
			t.Errorf("edit %s was accepted", bad)
		}
	}
	if _, err := local.Intervene(t.Context(), m.DefaultInterveneConfig(), same, same); err == nil {
		t.Error("the same edit twice was accepted")
	}
	for _, bad := range []string{"", "1,2=3", "1,2,3", "a,1,2=3", "1,2,3=NaN", "1,-2,3=4"} {
		if _, err := ParseEdit(bad); err == nil {
			t.Errorf("ParseEdit(%q) was accepted", bad)
		}
	}
	for _, good := range []string{"1,2,3=4", "1,2:,3*-1", "0,5,7=0.5"} {
		e, err := ParseEdit(good)
		if err != nil || e.String() != good {
			t.Errorf("ParseEdit(%q) = %v, %v", good, e, err)
		}
	}
}
