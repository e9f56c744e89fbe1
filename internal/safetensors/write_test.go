package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func sample() []Tensor {
	return []Tensor{
		U8("mask", []int{3}, []byte{1, 0, 1}),
		F32("w", []int{2, 3}, []float32{0, -1, 2.5, float32(math.Inf(1)), math.MaxFloat32, math.SmallestNonzeroFloat32}),
		F64("a <&> \"b\"\n", nil, []float64{math.Pi}),
		I32("ids", []int{1, 2}, []int32{math.MinInt32, math.MaxInt32}),
		F32("none", []int{0, 4}, nil),
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	meta := map[string]string{"b": "2 <&>", "a": "1"}
	if err := WriteFile(path, meta, sample()...); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Metadata(); len(got) != 2 || got["a"] != "1" || got["b"] != "2 <&>" {
		t.Errorf("metadata %v", got)
	}
	for _, want := range sample() {
		info, ok := f.Info(want.Name)
		raw, err := f.Bytes(want.Name)
		if !ok || err != nil || info.DType != want.DType || !slices.Equal(info.Shape, want.Shape) || !bytes.Equal(raw, want.Data) {
			t.Errorf("%q: %v, %v, %v; want %v", want.Name, info, raw, err, want)
		}
		if size := elementSize[info.DType]; (f.header.data+info.Begin)%size != 0 {
			t.Errorf("%q begins at %d: not aligned to %d", want.Name, f.header.data+info.Begin, size)
		}
	}
	if v, err := f.Int32("ids"); err != nil || v[0] != math.MinInt32 || v[1] != math.MaxInt32 {
		t.Errorf("ids %v, %v", v, err)
	}
	if v, err := f.Float32("a <&> \"b\"\n"); err != nil || v[0] != float32(math.Pi) {
		t.Errorf("scalar %v, %v", v, err)
	}
	if v, err := f.Float32("w"); err != nil || v[4] != math.MaxFloat32 || v[5] != math.SmallestNonzeroFloat32 {
		t.Errorf("w %v, %v", v, err)
	}
}

func TestBytesDoNotDependOnOrder(t *testing.T) {
	tensors := sample()
	var a, b bytes.Buffer
	if err := Write(&a, map[string]string{"x": "1", "y": "2", "z": "3"}, tensors...); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(tensors)
	if err := Write(&b, map[string]string{"z": "3", "y": "2", "x": "1"}, tensors...); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Fatal("the bytes depend on the order")
	}
	if n := binary.LittleEndian.Uint64(a.Bytes()); n%8 != 0 || a.Bytes()[8] != '{' {
		t.Fatalf("header of %d bytes begins with %q", n, a.Bytes()[8])
	}
	if tensors[0].Name != "none" {
		t.Fatal("Write reordered its arguments")
	}
}

func TestWriteRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	if err := WriteFile(path, nil, F32("old", []int{1}, []float32{1})); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	for what, c := range map[string][]Tensor{
		"takes 8":         {F32("a", []int{2}, make([]float32, 1))},
		"given twice":     {U8("a", []int{1}, []byte{1}), U8("a", []int{1}, []byte{1})},
		"reserved":        {U8("__metadata__", []int{1}, []byte{1})},
		"not UTF-8":       {U8("\xff", []int{1}, []byte{1})},
		"unknown dtype":   {{"a", "F7", []int{1}, []byte{1}}},
		"negative":        {U8("a", []int{-1}, nil)},
		`overflow`:        {U8("a", []int{math.MaxInt, 2}, nil)},
		`tensor "second"`: {U8("a", []int{1}, []byte{1}), U8("second", []int{1}, nil)},
	} {
		if err := WriteFile(path, nil, c...); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if err := WriteFile(path, map[string]string{"a": "\xff"}); err == nil {
		t.Error("metadata that is not UTF-8 was written")
	}
	after, _ := os.ReadFile(path)
	if entries, _ := os.ReadDir(dir); !bytes.Equal(before, after) || len(entries) != 1 {
		t.Errorf("the old file changed or something was left: %v", entries)
	}
}

func TestEmptyFile(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Parse("empty", b.Bytes())
	if err != nil || len(f.Names()) != 0 || f.Metadata() == nil {
		t.Fatalf("%v, %v", f, err)
	}
}
