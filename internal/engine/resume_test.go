package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// smallModel saves an untrained model of two layers and few tokens, and makes
// evaluations small.
func smallModel(t *testing.T) string {
	t.Helper()
	evaluated, measured := evalTokens, calibrationTokens
	t.Cleanup(func() { evalTokens, calibrationTokens = evaluated, measured })
	evalTokens, calibrationTokens = 400, 400
	w := world.New(pocket.WorldSeed)
	tok, err := tokenizer.Train(func(yield func(string) bool) {
		yield(w.Document(rand.New(rand.NewPCG(1, 1)), 20*world.DocumentWords))
	}, tokenizer.TrainConfig{VocabSize: 270})
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt2.Untrained(testbackend.Open(t, "go"), gpt2.Config{Layers: 2, DModel: 16, Heads: 2, DMLP: 32, DVocab: tok.Size(), Context: 16,
		LayerNormEps: 1e-5, TieEmbeddings: true, BOS: tok.EOT()}, 3)
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = tok
	dir := filepath.Join(t.TempDir(), "small")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// smallRun trains on three shuffled blocks, of which the second round has another
// order.
func smallRun(t *testing.T, model string, sources []string) wire.TrainRequest {
	return wire.TrainRequest{Setup: wire.Setup{Backend: "go", Model: model}, World: sources == nil, Texts: sources, Steps: 20, Features: 8, Batch: 512,
		Activation: clt.ActBatchTopK, K: 2, Config: json.RawMessage(`{"report_every":1,"stat_tokens":512}`), Out: filepath.Join(t.TempDir(), "clt"),
		TrainData: wire.TrainData{ShuffleMiB: 1, CacheTokens: 3000}}
}

// stoppedAt cancels a run once it has done so many steps.
func stoppedAt(t *testing.T, s *Service, req wire.TrainRequest, steps int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := s.Train(ctx, req, func(p wire.Progress) {
		if p.Phase == "train" && p.Done == steps {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "-resume") {
		t.Fatalf("stopped at step %d: %v", steps, err)
	}
}

// made is every file of a finished run, the metrics without what a clock says.
func made(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := testenv.Files(t, dir)
	if text, ok := files["metrics.jsonl"]; ok {
		files["metrics.jsonl"] = string(untimed(t, []byte(text)))
	}
	return files
}

func untimed(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		var p map[string]any
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"tokens_per_sec", "data_wait", "collect_tokens_per_sec", "from_cache", "bottleneck"} {
			delete(p, key)
		}
		fmt.Fprintln(&out, p)
	}
	return out.Bytes()
}

// sameRun names the files in which two runs differ.
func sameRun(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
		t.Errorf("%s: files %v, want %v", what, a, b)
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %s differs", what, name)
		}
	}
}

// A run that is stopped twice and goes on twice makes the same files, byte by byte,
// as one that is not: from every source, from the model and from caches of every
// type, also from a cache that is full already; and a float32 cache makes what the
// model does.
func TestResumedRunIsExact(t *testing.T) {
	s, model := testService(t), smallModel(t)
	kinds := append([]string{""}, clt.CacheDTypes()...)
	settings := []string{
		`{"report_every":1,"stat_tokens":512}`,
		`{"report_every":1,"stat_tokens":512,"accumulate":4,"target_l0":3,"at_target":"save"}`,
		`{"report_every":1,"stat_tokens":512,"kl_steps":5,"kl_weight":10,"kl_batch":3,"kl_lr":1e-3}`,
	}
	files := sourceFiles(t)
	for i, name := range slices.Sorted(maps.Keys(files)) {
		var streamed map[string]string
		for j, kind := range kinds {
			if testing.Short() && (i+1)%len(kinds) != j {
				continue // each source once
			}
			what := fmt.Sprintf("%s, cache %q", name, kind)
			req := smallRun(t, model, files[name])
			req.Config = json.RawMessage(settings[(i+i/3)%len(settings)])
			req.Activation = []string{clt.ActBatchTopK, clt.ActJumpReLU, clt.ActTopK}[i%3]
			if req.Activation == clt.ActJumpReLU {
				req.K = 0
			}
			dir := filepath.Dir(req.Out)
			with := func(name string) wire.TrainRequest {
				r := req
				r.Out = filepath.Join(dir, name, "clt") // the card has its name
				if r.CacheDType = kind; kind != "" {
					r.Cache = filepath.Join(dir, name, "cache")
				}
				return r
			}
			finish := func(r wire.TrainRequest) map[string]string {
				t.Helper()
				if _, err := s.Train(t.Context(), r, nil); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				return made(t, r.Out)
			}
			whole, parts := with("whole"), with("parts")
			want := finish(whole)
			stoppedAt(t, s, parts, 5)
			parts.Resume = true
			stoppedAt(t, s, parts, 13)
			sameRun(t, what, finish(parts), want)
			switch kind {
			case "":
				streamed = want
			case clt.CacheFloat32:
				if streamed != nil {
					sameRun(t, what+" beside the model", want, streamed)
				}
			case clt.CacheInt8:
				full := with("full")
				full.Cache = whole.Cache
				sameRun(t, what+", full", finish(full), want)
			}
		}
	}
}

// Going on with what is finished gives it again without a step; other settings or
// data are refused, and the transcoder stays.
func TestResumeFinished(t *testing.T) {
	s, model, files := testService(t), smallModel(t), sourceFiles(t)
	req := smallRun(t, model, files["text"])
	first, err := s.Train(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(req.Out, "mine"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before := made(t, req.Out)
	req.Resume = true
	again, err := s.Train(t.Context(), req, func(p wire.Progress) {
		if p.Phase == "train" {
			t.Errorf("step %d is done again", p.Done)
		}
	})
	got, _ := json.Marshal(again)
	if want, _ := json.Marshal(first); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s, want %s, %v", got, want, err)
	}
	for want, change := range map[string]func(r *wire.TrainRequest){
		"other settings: now steps 30 (was 20), warmup 3 (was 2);": func(r *wire.TrainRequest) { r.Steps = 30 },
		"Features:9": func(r *wire.TrainRequest) { r.Features = 9 },
		"world":      func(r *wire.TrainRequest) { r.World, r.Texts = true, nil },
	} {
		r := req
		change(&r)
		if _, err := s.Train(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), "train anew with -fresh") {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	sameRun(t, "refused", made(t, req.Out), before)
}
