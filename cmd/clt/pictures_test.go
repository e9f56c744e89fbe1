package main

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

func TestShowExportReport(t *testing.T) {
	whole, public := makeGraph(t)
	dir := t.TempDir()
	svg, page, report := filepath.Join(dir, "g.svg"), filepath.Join(dir, "g.html"), filepath.Join(dir, "r.html")
	text := must(t, "show", whole)
	if !strings.Contains(text, "every row adds up") || !strings.Contains(text, "replacement score") {
		t.Errorf("show: %q", text)
	}
	must(t, "show", public)
	must(t, "export", whole, "-svg", svg, "-html", page, "-theme", "dark", "-title", "A title")
	b, _ := os.ReadFile(svg)
	if !bytes.HasPrefix(b, []byte("<svg")) {
		t.Errorf("svg begins %.60q", b)
	}
	b, _ = os.ReadFile(page)
	for _, want := range []string{"clt-provenance/1", "row identity", "Content-Security-Policy", "A title"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the page has no %q", want)
		}
	}
	if bytes.Contains(b, []byte(dir)) {
		t.Error("the page names a folder of this machine")
	}
	must(t, "report", whole, "-o", report)
	first, _ := os.ReadFile(report)
	must(t, "report", whole, "-o", report)
	if second, _ := os.ReadFile(report); !bytes.Equal(first, second) || len(first) == 0 {
		t.Error("the same report twice differs")
	}
}

// TestDiffPage: two graphs on one page, the same bytes twice.
func TestDiffPage(t *testing.T) {
	whole, _ := makeGraph(t)
	page := filepath.Join(t.TempDir(), "d.html")
	must(t, "diff", whole, whole, "-html", page)
	first, _ := os.ReadFile(page)
	must(t, "diff", whole, whole, "-html", page)
	if second, _ := os.ReadFile(page); !bytes.Equal(first, second) || !bytes.Contains(first, []byte("In both graphs: ")) {
		t.Errorf("%d bytes, %d the second time", len(first), len(second))
	}
	if r := cli(t, "export", whole, "-html", page, "-features", t.TempDir()); r.status != statusUsage || !message.MatchString(r.stderr) {
		t.Errorf("a folder without a store: exit %d, %q", r.status, r.stderr)
	}
}

func TestPNG(t *testing.T) {
	whole, _ := makeGraph(t)
	out := filepath.Join(t.TempDir(), "g.png")
	t.Run("without a browser", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		t.Setenv("CLT_CHROMIUM", "")
		r := cli(t, "export", whole, "-png", out)
		if r.status != statusFailed || !strings.Contains(r.stderr, "install one") {
			t.Errorf("exit %d, %q", r.status, r.stderr)
		}
		if b, _ := os.ReadFile(strings.TrimSuffix(out, ".png") + ".svg"); !bytes.HasPrefix(b, []byte("<svg")) || !strings.Contains(r.stderr, "the picture is in g.svg") {
			t.Errorf("no SVG instead: %q", r.stderr)
		}
	})
	testenv.Slow(t)
	if engine.FindChromium() == "" {
		testenv.Skip(t, "no Chromium here; apt-get install chromium")
	}
	must(t, "export", whole, "-png", out)
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := png.DecodeConfig(f)
	if err != nil || c.Width < 400 {
		t.Errorf("picture %+v, %v", c, err)
	}
	flat, err := screenshot(t.Context(), engine.FindChromium(), `<svg xmlns="http://www.w3.org/2000/svg" width="310" height="40"><rect width="310" height="40" fill="#FF0000"/></svg>`)
	if err != nil {
		t.Fatal(err)
	}
	low, err := png.Decode(bytes.NewReader(flat))
	if err != nil || low.Bounds().Dx() != 620 || low.Bounds().Dy() != 80 {
		t.Fatalf("a low picture is %v, %v", low.Bounds(), err)
	}
	for _, at := range []image.Point{{0, 0}, {619, 0}, {0, 79}, {619, 79}} {
		if r, g, _, _ := low.At(at.X, at.Y).RGBA(); r>>8 != 255 || g != 0 {
			t.Errorf("a low red picture is %v at %v", low.At(at.X, at.Y), at)
		}
	}
}

func TestValidate(t *testing.T) {
	whole, public := makeGraph(t)
	out := must(t, "validate", whole, public, transcoder)
	if strings.Count(out, ": ok, ") != 3 {
		t.Errorf("%q", out)
	}
	data, _ := os.ReadFile(public)
	broken := filepath.Join(t.TempDir(), "broken.json")
	writeTestFile(t, broken, strings.Replace(string(data), `"feature_type"`, `"featuretype"`, 1))
	r := cli(t, "validate", public, broken)
	if r.status != statusFailed || !strings.Contains(r.out, "feature_type") || !strings.Contains(r.out, public+": ok") {
		t.Errorf("exit %d, %q", r.status, r.out)
	}
	v := cli(t, "validate", "-json", broken)
	list := decode[[]verdict](t, v.out)
	if len(list) != 1 || list[0].OK || len(list[0].Faults) == 0 {
		t.Errorf("%+v", list)
	}
}

func TestNotebooks(t *testing.T) {
	nb := filepath.Join(t.TempDir(), "n.ipynb")
	writeTestFile(t, nb, `{"cells":[{"cell_type":"code","metadata":{"execution":{"iopub.status.busy":"2026-01-01"}},"execution_count":3,
"source":"a := 1\nb := 2","outputs":[{"output_type":"stream","name":"stdout","text":"one\ntwo\n"}]}],
"metadata":{"kernelspec":{"name":"gonb","language":"go"},"language_info":{"name":"go","version":"go1.26.8"}},"nbformat":4,"nbformat_minor":5}`)
	if r := cli(t, "nb", "check", nb); r.status != statusFailed || !strings.Contains(r.out, "not in normal form") {
		t.Errorf("exit %d, %q", r.status, r.out)
	}
	if out := must(t, "nb", "clean", nb); out != nb+": ok\n" {
		t.Errorf("%q", out)
	}
	first, _ := os.ReadFile(nb)
	must(t, "nb", "clean", nb)
	if second, _ := os.ReadFile(nb); !bytes.Equal(first, second) {
		t.Error("cleaning twice changes the notebook")
	}
	if !strings.Contains(must(t, "validate", nb), "ok, notebook") {
		t.Error("validate does not know notebooks")
	}
	must(t, "nb", "clean", "-strip", nb)
	if b, _ := os.ReadFile(nb); bytes.Contains(b, []byte("two")) {
		t.Error("outputs are still there")
	}
	t.Setenv("CLT_ROOT", t.TempDir())
	if r := cli(t, "nb", "run", nb); r.status != statusFailed || !message.MatchString(r.stderr) {
		t.Errorf("run without Jupyter: exit %d, %q", r.status, r.stderr)
	}
}

func TestDoctor(t *testing.T) {
	r := cli(t, "doctor", "-json")
	checks := decode[struct {
		Checks []struct{ Name, Status, Detail, Cure string }
	}](t, r.out).Checks
	names := ""
	for _, c := range checks {
		names += c.Name + ","
		if c.Status != "ok" && c.Cure == "" || c.Detail == "" || !strings.Contains("ok warn fail", c.Status) {
			t.Errorf("%+v", c)
		}
	}
	for _, want := range []string{"go,", "c compiler", "cores", "memory", "temporary files", "backend", "simd", "matrix product", "xla cpu plugin", "cuda", "pocket model", "jupyterlab", "gonb", "goimports", "kernel spec", "chromium"} {
		if !strings.Contains(names, want) {
			t.Errorf("no check of %s in %s", want, names)
		}
	}
	if text := cli(t, "doctor"); !strings.Contains(text.out, "backend") || text.status != r.status {
		t.Errorf("exit %d, %q", text.status, text.out)
	}
}

func TestBench(t *testing.T) {
	out := must(t, "bench", "gpt2", "train", "attribution", "-backend", "go", "-shape", "tiny", "-tokens", "4", "-features", "16", "-batch", "32", "-reps", "1", "-json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 { // train has jumprelu and batchtopk
		t.Fatalf("%d rows: %s", len(lines), out)
	}
	for _, l := range lines {
		row := decode[map[string]any](t, l)
		for _, key := range []string{"bench", "layers", "backend", "min_s", "median_s", "first_call_s", "peak_rss_mb", "gflop", "gflops", "gemm_gflops_now", "pct_gemm"} {
			if v, ok := row[key]; !ok || v == 0.0 {
				t.Errorf("%s is %v in %s", key, v, l)
			}
		}
		gflops, share := row["gflop"].(float64)/row["min_s"].(float64), row["gflops"].(float64)/row["gemm_gflops_now"].(float64)*100
		if d := gflops/row["gflops"].(float64) - 1; d > 1e-3 || d < -1e-3 {
			t.Errorf("gflops %v, want %g", row["gflops"], gflops)
		}
		if d := share/row["pct_gemm"].(float64) - 1; d > 1e-3 || d < -1e-3 {
			t.Errorf("pct_gemm %v, want %g", row["pct_gemm"], share)
		}
	}
}

// The engine answers on its socket until it is told to stop.
func TestEngine(t *testing.T) {
	dir, err := os.MkdirTemp("", "clt") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	socket := filepath.Join(dir, "e.sock")
	done := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		done <- run(ctx, []string{"engine", "-socket", socket}, strings.NewReader(""), os.Stderr, &stderr)
	}()
	if names := engineVerbs(t, socket); !strings.Contains(names, "attribute") || !strings.Contains(names, "doctor") {
		t.Errorf("verbs %s", names)
	}
	cancel()
	if status := <-done; status != 0 {
		t.Errorf("exit %d, %s", status, stderr.String())
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is still there")
	}
}
