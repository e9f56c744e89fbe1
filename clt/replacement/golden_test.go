package replacement

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/golden"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// loadSet joins the golden model with one golden transcoder.
func loadSet(t testing.TB, backendName, gpt2Dir, setDir string, double bool) *Model {
	t.Helper()
	lm, err := gpt2.Load(testbackend.Open(t, backendName), gpt2Dir, gpt2.LoadOptions{Double: double})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := clt.Load(filepath.Join(setDir, "transcoder"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(lm, tr, attribution.Artifact{Name: filepath.Base(setDir)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// goldenFile reads tensors of a golden file and fails the test if one is missing.
type goldenFile struct {
	t *testing.T
	f *safetensors.File
}

func openGolden(t *testing.T, path string) goldenFile {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return goldenFile{t, f}
}

func (g goldenFile) floats(name string) []float64 {
	g.t.Helper()
	v, err := g.f.Float64(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

func (g goldenFile) ints(name string) []int32 {
	g.t.Helper()
	v, err := g.f.Int32(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

func maxDiff(got func(int) float64, want []float64) (worst float64, at int) {
	for i, w := range want {
		if d := math.Abs(got(i) - w); !(d <= worst) {
			worst, at = d, i
		}
	}
	return worst, at
}

// checkSet compares a graph with circuit-tracer's in its own node set, then the
// columns that it lacks with the independent reference.
func checkSet(t *testing.T, m *Model, path string, tol float64) {
	g := openGolden(t, path)
	local, err := m.Localize(g.ints("input_ids"))
	if err != nil {
		t.Fatal(err)
	}
	active := g.ints("active_features")
	if len(local.Active)*3 != len(active) {
		t.Fatalf("%d active features, want %d", len(local.Active), len(active)/3)
	}
	for i, a := range local.Active {
		if got := [3]int32{int32(a.Layer), int32(a.Pos), int32(a.Index)}; got != [3]int32(active[3*i:3*i+3]) {
			t.Fatalf("active feature %d is (layer, pos, index) %v, want %v", i, got, active[3*i:3*i+3])
		}
	}
	cfg := DefaultAttributeConfig()
	cfg.Batch, cfg.Compat = 7, "circuit-tracer"
	compat, err := local.Attribute(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := g.floats("adjacency")
	n := len(compat.Nodes)
	if n*n != len(want) {
		t.Fatalf("%d nodes, want %.0f", n, math.Sqrt(float64(len(want))))
	}
	d, at := maxDiff(func(i int) float64 { return compat.Weight(i/n, i%n) }, want)
	t.Logf("adjacency: worst difference %.2g", d)
	if !(d <= tol) {
		t.Errorf("edge %v <- %v is %.10g, want %.10g", compat.Nodes[at/n], compat.Nodes[at%n], compat.Weight(at/n, at%n), want[at])
	}
	cfg.Compat = ""
	full, err := local.Attribute(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("row identity: worst error %.2g", full.Settings.RowIdentity)
	checkColumns(t, g, full, len(local.Active), tol)
}

// checkColumns compares position, position-0 error and bias columns.
func checkColumns(t *testing.T, g goldenFile, full *attribution.Graph, active int, tol float64) {
	t.Helper()
	pos, mlp0, bias := g.floats("row_pos_embed"), g.floats("row_mlp_at_position0"), g.floats("row_bias")
	length, layers := len(full.IDs), full.Settings.Layers
	first := active + layers*length
	worst := 0.0
	row := func(i int) int {
		if i < active {
			return i
		}
		return len(full.Nodes) - len(bias) + i
	}
	for i := range bias {
		t0 := row(i)
		for p := range length {
			worst = math.Max(worst, math.Abs(full.Weight(t0, first+length+p)-pos[i*length+p]))
		}
		for l := range layers {
			worst = math.Max(worst, math.Abs(full.Weight(t0, active+l*length)-mlp0[i*layers+l]))
		}
		worst = math.Max(worst, math.Abs(full.Weight(t0, first+2*length)-bias[i]))
	}
	t.Logf("position, position-0 and bias columns: worst difference %.2g", worst)
	if !(worst <= tol) {
		t.Errorf("position, position-0 or bias columns differ by %.3g, more than %g", worst, tol)
	}
}

func checkSets(t *testing.T, root, gpt2Dir string) {
	sets, err := filepath.Glob(filepath.Join(root, "*", "transcoder"))
	if err != nil || len(sets) == 0 {
		t.Fatalf("no golden sets in %s", root)
	}
	for _, tc := range []struct {
		backend string
		double  bool
		tol     float64
	}{{"go", true, 1e-8}, {"go", false, 5e-5}, {"xla:cpu", false, 5e-5}} {
		for _, s := range sets {
			dir := filepath.Dir(s)
			t.Run(fmt.Sprintf("%s/double=%v/%s", tc.backend, tc.double, filepath.Base(dir)), func(t *testing.T) {
				if tc.backend != "go" {
					testenv.Slow(t)
				}
				m := loadSet(t, tc.backend, gpt2Dir, dir, tc.double)
				for _, p := range []string{"p0", "p1"} {
					path := filepath.Join(dir, p+"_graph_f64.safetensors")
					if _, err := os.Stat(path); err == nil {
						checkSet(t, m, path, tc.tol)
					}
				}
			})
		}
	}
}

func TestGraphParityWithReference(t *testing.T) {
	checkSets(t, "testdata", "../../gpt2/testdata/tiny2")
}

func TestGoldenGraphParityWithReference(t *testing.T) {
	dir := golden.Dir(t)
	checkSets(t, filepath.Join(dir, "attribution"), filepath.Join(dir, "gpt2/tiny2"))
}

// goldenMeta is the part of meta.json that tests read.
type goldenMeta struct {
	Sets []struct {
		Name    string `json:"name"`
		Prompts map[string]struct {
			IDs    []int32 `json:"ids"`
			Capped struct {
				MaxFeatures int `json:"max_feature_nodes"`
				Batch       int `json:"batch_size"`
				Interval    int `json:"update_interval"`
			} `json:"capped"`
			Interventions []struct {
				Name  string       `json:"name"`
				Edits [][4]float64 `json:"interventions_layer_pos_feature_value"`
				Args  struct {
					FreezeAttention *bool `json:"freeze_attention"`
					Layers          []int `json:"constrained_layers"`
					Apply           *bool `json:"apply_activation_function"`
				} `json:"args"`
			} `json:"interventions"`
		} `json:"prompts"`
	} `json:"sets"`
}

func readMeta(t *testing.T, path string) goldenMeta {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m goldenMeta
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}
