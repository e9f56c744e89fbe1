package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/golden"
)

// file builds the bytes of a file from header text and data.
func file(header string, data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), data...)
}

func TestBrokenFilesNameFileAndCure(t *testing.T) {
	for name, want := range map[string]string{
		"empty":            "only 0 bytes",
		"header_not_json":  `header is not a JSON object (begins with "xxxxxxxxxxxxxxxx")`,
		"huge_header_len":  "header length 4611686018427387904 is above the format's limit",
		"truncated_data":   "the file is cut off, fetch it again",
		"truncated_header": "header length 2552, but only 52 bytes follow",
	} {
		path := filepath.Join("testdata", "broken", name+".safetensors")
		f, err := Open(path)
		if err == nil {
			f.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %q does not name the file or say %q", name, err, want)
		}
		if name == "truncated_data" && !strings.Contains(err.Error(), `tensor "transformer.`) {
			t.Errorf("%s: error %q does not name the tensor", name, err)
		}
	}
}

func TestHugeHeaderDoesNotAllocate(t *testing.T) {
	for _, length := range []uint64{1 << 62, 1<<64 - 1, maxHeader, 1 << 32} {
		data := append(binary.LittleEndian.AppendUint64(nil, length), "{}"...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			if _, err := Parse("x", data); err == nil {
				t.Fatal("no error")
			}
		}
		runtime.ReadMemStats(&after)
		if perParse := (after.TotalAlloc - before.TotalAlloc) / 100; perParse > 4096 {
			t.Errorf("length %d: %d bytes allocated", length, perParse)
		}
	}
}

func TestHeaderRefusals(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct{ header, want string }{
		{``, "not a JSON object"},
		{`[]`, "not a JSON object"},
		{` {}`, "not a JSON object"},
		{`{`, "not JSON"},
		{`{} {}`, "text after the JSON object"},
		{`{"a":1}`, "where an object should begin"},
		{`{` + a + `,` + a + `}`, `key "a" occurs twice`},
		{`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, `key "dtype" occurs twice`},
		{`{"__metadata__":{"k":"v","k":"v"},` + a + `}`, `key "k" occurs twice`},
		{`{"__metadata__":{"k":1},` + a + `}`, "where a text should be"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":0}}`, "unknown key"},
		{`{"a":{"shape":[2],"data_offsets":[0,8]}}`, "no dtype"},
		{`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, "no shape"},
		{`{"a":{"dtype":"F32","shape":null,"data_offsets":[0,8]}}`, "null"},
		{`{"a":{"dtype":"F32","shape":[null],"data_offsets":[0,8]}}`, "non-negative integers"},
		{`{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}`, "not a list of integers"},
		{`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, "non-negative integers"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}`, "has 3 numbers"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, "takes 8 bytes"},
		{`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "F32[3] takes 12 bytes"},
		{`{"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}`, `unknown dtype "Q4"`},
		{`{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}}`, "overflows"},
		{`{"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,8]}}`, "overflows"},
		{`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, "not a list of integers"},
		{`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, "cut off"},
		{`{` + a + `,"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, `tensor "b" overlaps tensor "a"`},
		{`{` + a + `,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, `tensor "b" overlaps tensor "a"`},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "belong to no tensor"},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "4 bytes after the last tensor"},
		{`{}`, "8 bytes after the last tensor"},
		{"{\"\xff\":1}", "not UTF-8"},
	} {
		_, err := Parse("some.safetensors", file(c.header, make([]byte, 8)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.header, err, c.want)
		} else if !strings.Contains(err.Error(), "some.safetensors") || !strings.Contains(err.Error(), ";") && !strings.Contains(err.Error(), "?") {
			t.Errorf("%s: error %q names no file or cure", c.header, err)
		}
	}
	if _, err := Parse("x", file(`{`+a+`,"empty":{"dtype":"I64","shape":[0,9223372036854775807,3],"data_offsets":[0,0]}}  `, make([]byte, 8))); err != nil {
		t.Errorf("empty tensor: %v", err)
	}
}

func TestReadingRefusals(t *testing.T) {
	var b bytes.Buffer
	big := binary.LittleEndian.AppendUint64(nil, 1<<31)
	if err := Write(&b, nil, F32("f", []int{2, 2}, make([]float32, 4)), F32("s", nil, []float32{1}),
		Tensor{"big", "I64", []int{1}, big}, Tensor{"u", "U64", []int{1}, bytes.Repeat([]byte{255}, 8)}); err != nil {
		t.Fatal(err)
	}
	f, err := Parse("m", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	rows := func(row, n int) func() error {
		return func() error { _, err := f.Rows("f", row, n); return err }
	}
	for what, call := range map[string]func() error{
		"missing":       func() error { _, err := f.Bytes("nothing"); return err },
		"scalar rows":   func() error { _, err := f.Rows("s", 0, 1); return err },
		"float as int":  func() error { _, err := f.Int32("f"); return err },
		"int as float":  func() error { _, err := f.Float32("big"); return err },
		"int too large": func() error { _, err := f.Int32("big"); return err },
		"uint too big":  func() error { _, err := f.Int32("u"); return err },
		"row -1":        rows(-1, 1), "row 3": rows(3, 0), "2 from 1": rows(1, 2), "n -1": rows(0, -1), "overflow": rows(1, math.MaxInt),
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "m: tensor ") {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if v, err := f.Rows("f", 2, 0); err != nil || len(v) != 0 {
		t.Errorf("no rows at the end: %v, %v", v, err)
	}
}

// half is the definition of binary16, in float64.
func half(h uint16) float64 {
	sign, e, m := 1-2*float64(h>>15), int(h>>10)&31, float64(h&1023)
	switch {
	case e == 0:
		return sign * math.Ldexp(m, -24)
	case e == 31 && m == 0:
		return math.Inf(int(sign))
	case e == 31:
		return math.NaN()
	}
	return sign * math.Ldexp(1024+m, e-25)
}

func TestHalfAgainstDefinition(t *testing.T) {
	for h := range 1 << 16 {
		got, want := float64(halfToFloat(uint16(h))), half(uint16(h))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != math.Signbit(want) && !math.IsNaN(want) {
			t.Fatalf("%#04x: %v, want %v", h, got, want)
		}
	}
}

// open opens a file of testdata for the length of the test.
func open(t *testing.T, name string) *File {
	t.Helper()
	f, err := Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestDTypesOfOneModelAgree(t *testing.T) {
	// The same model rounded to two formats: values agree to the precision of the coarser one.
	mixed, fp16 := open(t, "mixed_dtype.safetensors"), open(t, "fp16.safetensors")
	if !slices.Equal(mixed.Names(), fp16.Names()) || len(mixed.Names()) != 28 {
		t.Fatalf("names %v and %v", mixed.Names(), fp16.Names())
	}
	seen := map[string]bool{}
	for _, name := range mixed.Names() {
		info, _ := mixed.Info(name)
		seen[info.DType] = true
		tolerance := map[string]float64{"F32": 0x1p-11, "BF16": 0x1p-8 + 0x1p-11}[info.DType]
		a, err := mixed.Float64(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := fp16.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(a) != info.Elements() || len(a) != len(b) {
			t.Fatalf("%s: %d and %d values, shape %v", name, len(a), len(b), info.Shape)
		}
		for i := range a {
			if d := math.Abs(a[i] - float64(b[i])); d > tolerance*math.Abs(a[i])+0x1p-24 {
				t.Fatalf("%s[%d]: %v and %v", name, i, a[i], b[i])
			}
		}
		checkRows(t, mixed, name)
	}
	if !seen["F32"] || !seen["BF16"] {
		t.Fatalf("dtypes %v", seen)
	}
}

// checkRows compares Rows with the whole tensor, for the file on disk and in memory.
func checkRows(t *testing.T, f *File, name string) {
	t.Helper()
	info, _ := f.Info(name)
	all, err := f.Float32(name)
	if err != nil {
		t.Fatal(err)
	}
	stride := len(all) / info.Shape[0]
	for _, r := range [][2]int{{0, info.Shape[0]}, {info.Shape[0] - 1, 1}, {1, 2}} {
		got, err := f.Rows(name, r[0], r[1])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, all[r[0]*stride:(r[0]+r[1])*stride]) {
			t.Fatalf("%s: rows %v differ", name, r)
		}
	}
}

func TestEveryReferenceFileOpens(t *testing.T) {
	dir := golden.NeedGolden(t)
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".safetensors" || strings.Contains(path, "broken") {
			return err
		}
		n++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		memory, err := Parse(path, data)
		if err != nil {
			return err
		}
		disk, err := Open(path)
		if err != nil {
			return err
		}
		defer disk.Close()
		for _, name := range disk.Names() {
			a, err := disk.Bytes(name)
			if err != nil {
				return err
			}
			b, _ := memory.Bytes(name)
			if !bytes.Equal(a, b) {
				return fmt.Errorf("%s: %s differs", path, name)
			}
		}
		return nil
	})
	if err != nil || n < 50 {
		t.Fatalf("%d files, error %v", n, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"broken/truncated_header", "broken/huge_header_len"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".safetensors"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 8)))
	f.Add(file(`{"__metadata__":{"a":"b"},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[1,1],"data_offsets":[8,10]}}`, make([]byte, 10)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz", data)
		if err != nil {
			return
		}
		var tensors []Tensor
		for _, name := range file.Names() {
			info, _ := file.Info(name)
			raw, err := file.Bytes(name)
			if err != nil {
				t.Fatal(err)
			}
			file.Float32(name)
			file.Float64(name)
			file.Int32(name)
			file.Rows(name, 0, 1)
			tensors = append(tensors, Tensor{name, info.DType, info.Shape, raw})
		}
		var out bytes.Buffer
		if err := Write(&out, file.Metadata(), tensors...); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again", out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range tensors {
			if got, err := again.Bytes(x.Name); err != nil || !bytes.Equal(got, x.Data) {
				t.Fatalf("%q: %v, %v", x.Name, got, err)
			}
		}
	})
}
