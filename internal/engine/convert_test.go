package engine

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// A large transcoder keeps its decoders on the disk: the graph is the same, and
// only rows of active features were read.
func TestLazyAttribution(t *testing.T) {
	const dir = "../../clt/replacement/testdata/clt_relu_resid_mid/transcoder"
	x, err := clt.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	wide := *x // as many dead features again, and again
	wide.Features *= 8
	for l := range x.Layers {
		grow := func(v []float32) []float32 { return append(v, make([]float32, 7*len(v))...) }
		wide.WEnc[l], wide.BEnc[l], wide.WDec[l] = grow(x.WEnc[l]), grow(x.BEnc[l]), grow(x.WDec[l])
	}
	saved := filepath.Join(t.TempDir(), "wide")
	if err := wide.Save(saved); err != nil {
		t.Fatal(err)
	}
	defer func(old int64) { lazyBytes = old }(lazyBytes)
	var graphs [2]*attribution.Graph
	for i, limit := range []int64{1 << 40, 0} {
		lazyBytes = limit
		s := New()
		set := wire.Setup{Model: "../../gpt2/testdata/tiny2", CLT: saved, Backend: "go"}
		out := filepath.Join(t.TempDir(), "g.safetensors")
		if _, err := s.Attribute(context.Background(), wire.AttributeRequest{Setup: set, Prompt: wire.Prompt{IDs: []int32{96, 3, 4, 9}}, Out: out}, nil); err != nil {
			t.Fatal(err)
		}
		if graphs[i], err = LoadGraph(out); err != nil {
			t.Fatal(err)
		}
		m, _, err := s.join(set)
		if err != nil {
			t.Fatal(err)
		}
		if m.CLT.Lazy() != (i == 1) {
			t.Fatalf("lazy is %t", m.CLT.Lazy())
		}
		active := 0
		for _, n := range graphs[i].Nodes {
			if n.Kind == attribution.Feature {
				active++
			}
		}
		if rows := m.CLT.RowsRead(); i == 1 && (rows == 0 || rows > 2*active || 4*rows > wide.Features*wide.Layers) {
			t.Errorf("%d rows were read for %d active features of %d", rows, active, wide.Features*wide.Layers)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(graphs[0], graphs[1]) {
		t.Error("the graph depends on where the decoders are")
	}
}

// Top-k over all layers: a prompt's features and graph are exact; where the model
// runs with it, thresholds stand in for it, which is said.
func TestGlobalTopK(t *testing.T) {
	x, err := clt.Load("../../clt/replacement/testdata/clt_relu_resid_mid/transcoder")
	if err != nil {
		t.Fatal(err)
	}
	x.Activation, x.K = clt.ActGlobalTopK, 2
	dir := filepath.Join(t.TempDir(), "global")
	if err := x.Save(dir); err != nil {
		t.Fatal(err)
	}
	var said []string
	s := testService(t)
	s.Log = func(line string) { said = append(said, line) }
	set, prompt := wire.Setup{Model: "../../gpt2/testdata/tiny2", CLT: dir, Backend: "go"}, wire.Prompt{IDs: []int32{96, 3, 4, 9}}
	res, err := s.Encode(context.Background(), wire.EncodeRequest{Setup: set, Prompt: prompt}, nil)
	if err != nil {
		t.Fatal(err)
	}
	perPos, places := map[int]int{}, map[[2]int]int{}
	for _, a := range res.Active {
		perPos[a.Pos]++
		places[[2]int{a.Pos, a.Layer}]++
	}
	even := true
	for _, n := range places {
		even = even && n == x.K
	}
	if perPos[1] != 2*x.Layers || perPos[3] != 2*x.Layers || len(perPos) != 3 {
		t.Errorf("active features by position: %v", perPos)
	}
	if even {
		t.Error("every layer has its share: that is top-k by layer")
	}
	if _, err := s.Attribute(context.Background(), wire.AttributeRequest{Setup: set, Prompt: prompt, Out: filepath.Join(t.TempDir(), "g.safetensors")}, nil); err != nil {
		t.Error(err)
	}
	if _, err := s.Run(t.Context(), wire.RunRequest{Setup: set, Prompt: prompt, Replacement: true}, nil); err != nil {
		t.Error(err)
	}
	if _, err := s.Generate(t.Context(), wire.GenerateRequest{Setup: set, Prompt: prompt, N: 3, Replacement: true}, nil); err != nil {
		t.Error(err)
	}
	for _, mode := range []string{replacement.Constrained, replacement.Iterative, replacement.Live} {
		r, err := s.Intervene(t.Context(), wire.InterveneRequest{Setup: set, Prompt: prompt, Mode: mode, Edits: []string{"1,1,3*0"}}, nil)
		if err != nil || len(r.Warnings) == 0 || !strings.Contains(r.Warnings[0], "top 8 of all layers") {
			t.Errorf("%s: %v, warnings %q", mode, err, r.Warnings)
		}
	}
	said = slices.DeleteFunc(said, func(line string) bool { return !strings.Contains(line, "of all layers together") })
	if len(said) != 1 || !strings.Contains(said[0], "clt calibrate") {
		t.Errorf("said %q", said)
	}
}
