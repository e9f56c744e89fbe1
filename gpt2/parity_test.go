package gpt2

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/backend"
	"github.com/etredal/cross-layer-transcoder/internal/golden"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// goldenMeta is the part of a golden model's meta.json that tests read.
type goldenMeta struct {
	Prompts []struct {
		Name   string  `json:"name"`
		IDs    []int32 `json:"ids"`
		Greedy []int32 `json:"greedy_20"`
	} `json:"prompts"`
}

func readMeta(t *testing.T, dir string) goldenMeta {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m goldenMeta
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func loadOn(t *testing.T, backendName, dir string, double bool) *Model {
	t.Helper()
	b := testbackend.Open(t, backendName)
	m, err := Load(b, dir, LoadOptions{Double: double})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// firstDivergence compares every stored activation in the order of the forward
// pass and describes the first that differs by more than tol·max(1,|want|).
func firstDivergence(t *testing.T, m *Model, acts string, ids []int32, tol float64) (report string, worst float64) {
	t.Helper()
	f, err := safetensors.Open(acts)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := m.RunWithCache(ids, "*")
	if err != nil {
		t.Fatal(err)
	}
	order := append(HookNames(m.Config.Layers), "logits")
	checked := 0
	for _, name := range order {
		info, ok := f.Info(string(name))
		if !ok {
			continue
		}
		checked++
		want, err := f.Float64(string(name))
		if err != nil {
			t.Fatal(err)
		}
		got := c.Hooks[name]
		if name == "logits" {
			got = c.Logits
		}
		if fmt.Sprint(got.Shape) != fmt.Sprint(info.Shape) {
			return fmt.Sprintf("%s has shape %v, want %v", name, got.Shape, info.Shape), math.Inf(1)
		}
		for i, w := range want {
			d := math.Abs(got.At(i)-w) / math.Max(1, math.Abs(w))
			worst = math.Max(worst, d)
			if !(d <= tol) && report == "" {
				report = fmt.Sprintf("first divergence at %s, flat index %d of %v: got %.12g, want %.12g", name, i, info.Shape, got.At(i), w)
			}
		}
	}
	if checked < 5 {
		t.Fatalf("%s has only %d known activations", acts, checked)
	}
	return report, worst
}

func checkParity(t *testing.T, root string) {
	for _, tc := range []struct {
		backend string
		double  bool
		tol     float64
	}{{"go", true, 1e-9}, {"go", false, 1e-4}, {"xla:cpu", false, 1e-4}} {
		for _, name := range []string{"tiny1", "tiny2"} {
			dir := filepath.Join(root, name)
			t.Run(fmt.Sprintf("%s/double=%v/%s", tc.backend, tc.double, name), func(t *testing.T) {
				if tc.backend != "go" {
					testenv.Slow(t)
				}
				m := loadOn(t, tc.backend, dir, tc.double)
				for _, p := range readMeta(t, dir).Prompts {
					acts := filepath.Join(dir, "acts_"+p.Name+"_f64.safetensors")
					if _, err := os.Stat(acts); err != nil {
						continue
					}
					report, worst := firstDivergence(t, m, acts, p.IDs, tc.tol)
					t.Logf("%s %s: worst relative difference %.2g", name, p.Name, worst)
					if report != "" {
						t.Errorf("%s: %s", p.Name, report)
					}
				}
			})
		}
	}
}

func TestParityWithReference(t *testing.T) { checkParity(t, "testdata") }

func TestGoldenParityWithReference(t *testing.T) {
	checkParity(t, filepath.Join(golden.Dir(t), "gpt2"))
}

func TestGreedyContinuations(t *testing.T) {
	for _, name := range []string{"tiny1", "tiny2"} {
		dir := filepath.Join("testdata", name)
		m := loadOn(t, "go", dir, false)
		for _, p := range readMeta(t, dir).Prompts {
			n := min(len(p.Greedy), m.Config.Context-len(p.IDs))
			g, err := m.Generate(t.Context(), Program{}, p.IDs, GenerateConfig{N: n}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(g.Tokens) != fmt.Sprint(p.Greedy[:n]) {
				t.Errorf("%s %s: greedy tokens %v, want %v", name, p.Name, g.Tokens, p.Greedy[:n])
			}
		}
	}
}

func TestBackendOfTestsIsSequential(t *testing.T) {
	_, info, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	if info.Config != "go:ops_sequential" {
		t.Fatalf("the Go backend is opened as %q; parallel operations deadlock", info.Config)
	}
}
