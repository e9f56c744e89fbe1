package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// smallLM is a language model that is quick to run.
func smallLM(t *testing.T) string {
	t.Helper()
	testenv.Slow(t)
	dir := filepath.Join(t.TempDir(), "lm")
	must(t, "train-lm", "-world", "-backend", "go", "-layers", "2", "-d-model", "16", "-heads", "2", "-steps", "2", "-batch", "2", "-o", dir)
	return dir
}

// A sweep trains one run a value, draws them, and does not train again what is
// done.
func TestSweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sweep")
	lm := smallLM(t)
	args := []string{"sweep", "-world", "-backend", "go", "-model", lm, "-activation", "topk", "-ks", "1,3", "-features", "24", "-steps", "4", "-batch", "64", "-o", dir}
	out := must(t, append(args, "-json")...)
	res := decode[struct {
		Over string
		Runs []struct {
			Value   float64
			Metrics struct{ L0 float64 }
		}
	}](t, out)
	if res.Over != "k" || len(res.Runs) != 2 || res.Runs[0].Metrics.L0 > 1.01 || res.Runs[1].Metrics.L0 < 2 {
		t.Errorf("%+v", res)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "sweep.svg"))
	if err != nil || !strings.Contains(string(svg), "k 3") {
		t.Errorf("%v, picture %.80q", err, svg)
	}
	weights := filepath.Join(dir, "k-1", "W_enc_0.safetensors")
	if err := os.Remove(weights); err != nil {
		t.Fatal(err)
	}
	must(t, args...)
	if _, err := os.Stat(weights); !os.IsNotExist(err) {
		t.Errorf("a finished run was trained again: %v", err)
	}
	for want, flags := range map[string][]string{"give values": {}, "no number above 0": {"-lambdas", "1,x"}, "does not go with it": {"-ks", "2"}} {
		r := cli(t, append([]string{"sweep", "-world", "-o", dir + want[:4]}, flags...)...)
		if r.status != statusUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit %d, %q", flags, r.status, r.stderr)
		}
	}
}

// A trained folder has its card, and eval writes one that has every number; a
// batchtopk turned into a jumprelu keeps its L0 layer by layer.
func TestCardAndCalibrate(t *testing.T) {
	dir := t.TempDir()
	trained, card, lm := filepath.Join(dir, "t"), filepath.Join(dir, "card.md"), smallLM(t)
	must(t, "train", "-model", lm, "-world", "-backend", "go", "-activation", "tokentopk", "-k", "2", "-features", "24", "-steps", "4", "-batch", "64", "-o", trained)
	must(t, "eval", "-model", lm, "-world", "-backend", "go", "-clt", trained, "-tokens", "2000", "-graphs", "1", "-card", card)
	text, err := os.ReadFile(card)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# t\n", "tokentopk with k = 2", "| NMSE, pooled over dimensions |", "KL of the model", "Loss recovered", "as many neurons as features", "mean cosine of", "| 1 |", "replacement score", "&lt;&#124;endoftext"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the card has no %q:\n%s", want, text)
		}
	}
	if _, err := os.Stat(filepath.Join(trained, "card.md")); err != nil {
		t.Error(err)
	}
	res := decode[struct {
		After []float64 `json:"l0_after"`
	}](t, must(t, "calibrate", "-model", lm, "-world", "-backend", "go", "-clt", trained, "-tokens", "3000", "-l0", "3", "-o", filepath.Join(dir, "c"), "-json"))
	for l, v := range res.After {
		if v < 2.99 || v > 3.01 {
			t.Errorf("layer %d has %g active features, want 3", l, v)
		}
	}
	if r := cli(t, "calibrate", "-world", "-clt", "pocket", "-l0", "-1", "-o", filepath.Join(dir, "d")); r.status != statusUsage {
		t.Errorf("-l0 -1: exit %d, %s", r.status, r.stderr)
	}
}
