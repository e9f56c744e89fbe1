package attribution

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
)

func writeFile(t testing.TB, g *Graph) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSafetensors(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFileRoundTrip(t *testing.T) {
	g := random(2, 3, 4, 2, 3, .5)
	g.Prompt, g.Model, g.CLT = "a <b>\n", Artifact{"m", "aa"}, Artifact{"c", "bb"}
	g.Settings = Settings{MaxLogits: 10, LogitProb: .95, MaxFeatures: 7, Active: 9, Batch: 64, DType: "f64", Backend: "go",
		Read: "hook_resid_mid", Compat: "x", Layers: 3, NodeCut: .8, EdgeCut: .98, RowIdentity: 1e-7, Folded: true}
	g.Nodes[1].Label, g.Nodes[len(g.Nodes)-1].Label = "say “x”", " A-B"
	ranked := must(random(3, 3, 4, 2, 2, .5).Prune(DefaultPruneConfig()))(t)
	for name, in := range map[string]*Graph{"f64": g, "f32": single(g), "ranked": ranked, "empty": {Weights: NewMatrix(0, false)}} {
		data := writeFile(t, in)
		out, err := ReadSafetensors(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "empty" {
			out.Nodes, out.Tokens, out.IDs, out.Weights.F32 = nil, nil, nil, in.Weights.F32
		}
		if !reflect.DeepEqual(in, out) {
			t.Errorf("%s: read %+v, wants %+v", name, out, in)
		}
		if again := writeFile(t, out); !bytes.Equal(again, data) && name != "empty" {
			t.Errorf("%s: second writing differs", name)
		}
	}
}

// TestFileLayout reads the header as another program would.
func TestFileLayout(t *testing.T) {
	for _, g := range []*Graph{graphA(), single(graphA())} {
		data := writeFile(t, g)
		length := binary.LittleEndian.Uint64(data)
		if length%8 != 0 {
			t.Errorf("header has %d bytes, data would not be aligned", length)
		}
		var meta struct {
			M map[string]string `json:"__metadata__"`
		}
		if err := unmarshal(data[8:8+length], &meta); err != nil {
			t.Fatal(err)
		}
		if meta.M["format"] != "clt-graph/1" || meta.M["tokens"] != "[]" || meta.M["ids"] != "[]" {
			t.Errorf("metadata %v", meta.M)
		}
		float := "F32"
		if g.Weights.Double() {
			float = "F64"
		}
		want := map[string]string{"adjacency": float, "kind": "U8", "layer": "I32", "pos": "I32", "index": "I32",
			"activation": float, "prob": float, "preactivation": float}
		f, err := openTensors(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for name, dtype := range want {
			shape := []int{12}
			if name == "adjacency" {
				shape = []int{12, 12}
			}
			if info := f.tensors[name]; info.DType != dtype || !reflect.DeepEqual(info.Shape, shape) {
				t.Errorf("%s is %+v, wants %v %s", name, info, shape, dtype)
			}
		}
		if len(f.tensors) != len(want) {
			t.Errorf("%d tensors, wants %d", len(f.tensors), len(want))
		}
	}
}

func TestFileFaults(t *testing.T) {
	good := writeFile(t, graphB())
	header := int64(binary.LittleEndian.Uint64(good))
	swap := func(old, new string) []byte {
		if len(old) != len(new) {
			t.Fatalf("%q and %q differ in length", old, new)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	bad := graphB()
	bad.Weights.Set(2, 1, math.NaN())
	if err := WriteSafetensors(io.Discard, bad); err == nil || !strings.Contains(err.Error(), "weight of f2/0@1 from f1/1@1 is NaN") {
		t.Errorf("writing NaN: %v", err)
	}
	nan := bytes.Clone(good)
	binary.LittleEndian.PutUint64(nan[8+header:], math.Float64bits(math.Inf(1)))
	long := bytes.Clone(good)
	binary.LittleEndian.PutUint64(long, 1<<62)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":        {nil, "header length"},
		"cut header":   {good[:100], "cut off"},
		"cut data":     {good[:len(good)-1], "cut off"},
		"long header":  {long, "cut off"},
		"not JSON":     {append([]byte{8, 0, 0, 0, 0, 0, 0, 0}, "nonsense"...), "not JSON"},
		"version":      {swap("clt-graph/1", "clt-graph/2"), `format "clt-graph/2", this program reads "clt-graph/1"`},
		"no format":    {swap(`"format"`, `"farmat"`), "no format"},
		"renamed":      {swap(`"prob"`, `"prop"`), `tensor "prob" is missing`},
		"type":         {swap(`"index":{"dtype":"I32"`, `"index":{"dtype":"F32"`), `tensor "index" has type F32, wants I32`},
		"shape":        {swap(`"shape":[9,9]`, `"shape":[9,8]`), "bytes"},
		"not finite":   {nan, "must be finite"},
		"tokens":       {swap(`"tokens":"[]"`, `"tokens":"[}"`), `metadata "tokens"`},
		"labels":       {swap(`"labels":"{}"`, `"labels":"[]"`), `metadata "labels"`},
		"settings":     {swap(`"settings":"{`, `"settings":"[`), `metadata "settings"`},
		"unknown kind": {setByte(good, "kind", 0, 9), "unknown kind 9"},
		"twice":        {setByte(good, "index", 4, 0), "are both f1/0@1"},
	} {
		_, err := ReadSafetensors(bytes.NewReader(c.data), int64(len(c.data)))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, wants %q", name, err, c.want)
		}
	}
	if err := WriteSafetensors(failing{}, graphB()); !errors.Is(err, errFull) {
		t.Errorf("full disk: %v", err)
	}
}

// setByte changes one byte of a tensor.
func setByte(file []byte, tensor string, at int, to byte) []byte {
	out := bytes.Clone(file)
	f, err := openTensors(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		panic(err)
	}
	out[f.base+f.tensors[tensor].Offsets[0]+int64(at)] = to
	return out
}

var errFull = errors.New("no space left")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func FuzzReadSafetensors(f *testing.F) {
	f.Add(writeFile(f, graphA()))
	f.Add(writeFile(f, single(random(1, 1, 2, 1, 1, 1))))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ReadSafetensors(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		first := writeFile(t, g)
		again, err := ReadSafetensors(bytes.NewReader(first), int64(len(first)))
		if err != nil {
			t.Fatalf("reading what was written: %v", err)
		}
		if !bytes.Equal(first, writeFile(t, again)) {
			t.Fatal("not a fixed point")
		}
		g.Score()
		if _, err := g.Prune(DefaultPruneConfig()); err != nil {
			t.Fatalf("a graph that was read cannot be pruned: %v", err)
		}
	})
}
