package attribution

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// This file is a small codec for safetensors: 8 bytes of header length, a JSON
// header, then the tensors' bytes, little endian. It streams, so a graph is
// never held twice. (https://github.com/huggingface/safetensors, format.)

const maxHeader = 100 << 20

// tensorInfo is one header entry.
type tensorInfo struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

var dtypeSize = map[string]int64{"F64": 8, "I64": 8, "F32": 4, "I32": 4, "U8": 1}

// size is the number of elements, or -1 if it does not fit.
func (t tensorInfo) size() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		if d < 0 || d > 0 && n > math.MaxInt64/16/int64(d) {
			return -1
		}
		n *= int64(d)
	}
	return n
}

// column is a tensor to be written: its data is []float32, []float64, []int32 or []uint8.
type column struct {
	name  string
	shape []int
	data  any
}

func (c column) dtype() string {
	switch c.data.(type) {
	case []float64:
		return "F64"
	case []float32:
		return "F32"
	case []int32:
		return "I32"
	}
	return "U8"
}

// writeTensors writes a file; equal input gives equal bytes. Wide types come
// first, so that every tensor is aligned.
func writeTensors(w io.Writer, metadata map[string]string, columns []column) error {
	slices.SortFunc(columns, func(a, b column) int {
		if d := dtypeSize[b.dtype()] - dtypeSize[a.dtype()]; d != 0 {
			return int(d)
		}
		return strings.Compare(a.name, b.name)
	})
	header := map[string]any{"__metadata__": metadata}
	offset := int64(0)
	for _, c := range columns {
		info := tensorInfo{DType: c.dtype(), Shape: c.shape, Offsets: [2]int64{offset, 0}}
		offset += info.size() * dtypeSize[info.DType]
		info.Offsets[1] = offset
		header[c.name] = info
	}
	text, err := marshal(header)
	if err != nil {
		return fmt.Errorf("attribution: write header: %w", err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if err := binary.Write(w, binary.LittleEndian, uint64(len(text))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for _, c := range columns {
		if err := writeColumn(w, c.data); err != nil {
			return err
		}
	}
	return nil
}

// marshal is JSON without HTML escapes and without the final newline.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

func writeColumn(w io.Writer, data any) error {
	const chunk = 1 << 16
	buf := make([]byte, 0, chunk*8)
	var err error
	write := func(from, to int) {
		if err != nil {
			return
		}
		switch v := data.(type) {
		case []float64:
			buf, err = binary.Append(buf[:0], binary.LittleEndian, v[from:to])
		case []float32:
			buf, err = binary.Append(buf[:0], binary.LittleEndian, v[from:to])
		case []int32:
			buf, err = binary.Append(buf[:0], binary.LittleEndian, v[from:to])
		case []uint8:
			buf = append(buf[:0], v[from:to]...)
		}
		if err == nil {
			_, err = w.Write(buf)
		}
	}
	n := lengthOf(data)
	for at := 0; at < n; at += chunk {
		write(at, min(at+chunk, n))
	}
	return err
}

func lengthOf(data any) int {
	switch v := data.(type) {
	case []float64:
		return len(v)
	case []float32:
		return len(v)
	case []int32:
		return len(v)
	case []uint8:
		return len(v)
	}
	return 0
}

// tensorFile is an open file with a checked header.
type tensorFile struct {
	r        io.ReaderAt
	base     int64
	tensors  map[string]tensorInfo
	metadata map[string]string
}

// openTensors reads and checks the header of a file of the given size.
func openTensors(r io.ReaderAt, size int64) (*tensorFile, error) {
	var length [8]byte
	if err := readFull(r, length[:], 0, size); err != nil {
		return nil, fmt.Errorf("attribution: read header length: %w; is this a safetensors file?", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("attribution: header claims %d bytes in a file of %d; the file is cut off or no safetensors file", n, size)
	}
	text := make([]byte, n)
	if err := readFull(r, text, 8, size); err != nil {
		return nil, fmt.Errorf("attribution: read header: %w", err)
	}
	f := &tensorFile{r: r, base: 8 + int64(n), tensors: map[string]tensorInfo{}}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("attribution: header is not JSON: %w", err)
	}
	for name, value := range raw {
		if name == "__metadata__" {
			if err := json.Unmarshal(value, &f.metadata); err != nil {
				return nil, fmt.Errorf("attribution: metadata: %w", err)
			}
			continue
		}
		var info tensorInfo
		if err := json.Unmarshal(value, &info); err != nil {
			return nil, fmt.Errorf("attribution: tensor %q: %w", name, err)
		}
		f.tensors[name] = info
	}
	return f, f.check(size)
}

// check verifies ranges and sizes; names are visited in order so that the same
// file always gives the same error.
func (f *tensorFile) check(size int64) error {
	names := make([]string, 0, len(f.tensors))
	for name := range f.tensors {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t := f.tensors[name]
		begin, end := t.Offsets[0], t.Offsets[1]
		if begin < 0 || end < begin || end > size-f.base {
			return fmt.Errorf("attribution: tensor %q lies at bytes %d to %d of %d; the file is cut off", name, begin, end, size-f.base)
		}
		if width, known := dtypeSize[t.DType]; known && (t.size() < 0 || t.size()*width != end-begin) {
			return fmt.Errorf("attribution: tensor %q is %v %s but has %d bytes", name, t.Shape, t.DType, end-begin)
		}
	}
	return nil
}

func readFull(r io.ReaderAt, p []byte, at, size int64) error {
	if at+int64(len(p)) > size {
		return io.ErrUnexpectedEOF
	}
	n, err := r.ReadAt(p, at)
	if n == len(p) && (err == nil || errors.Is(err, io.EOF)) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// find checks that a tensor is there with one of the types and a number of
// elements.
func (f *tensorFile) find(name string, shape []int, dtypes ...string) (tensorInfo, error) {
	t, have := f.tensors[name]
	if !have {
		return t, fmt.Errorf("attribution: tensor %q is missing", name)
	}
	if !slices.Equal(t.Shape, shape) {
		return t, fmt.Errorf("attribution: tensor %q is %v, wants %v", name, t.Shape, shape)
	}
	if !slices.Contains(dtypes, t.DType) {
		return t, fmt.Errorf("attribution: tensor %q has type %s, wants %s", name, t.DType, strings.Join(dtypes, " or "))
	}
	return t, nil
}

// each reads a tensor in pieces and hands them on with the index of the first
// element.
func (f *tensorFile) each(name string, t tensorInfo, use func(at int, piece []byte)) error {
	width := dtypeSize[t.DType]
	buf := make([]byte, min(1<<18*width, t.Offsets[1]-t.Offsets[0]))
	for begin := t.Offsets[0]; begin < t.Offsets[1]; {
		piece := buf[:min(int64(len(buf)), t.Offsets[1]-begin)]
		if err := readFull(f.r, piece, f.base+begin, f.base+t.Offsets[1]); err != nil {
			return fmt.Errorf("attribution: read tensor %q: %w", name, err)
		}
		use(int((begin-t.Offsets[0])/width), piece)
		begin += int64(len(piece))
	}
	return nil
}

func (f *tensorFile) float64s(name string, shape ...int) ([]float64, error) {
	t, err := f.find(name, shape, "F32", "F64")
	if err != nil {
		return nil, err
	}
	out := make([]float64, t.size())
	err = f.each(name, t, func(at int, p []byte) {
		if t.DType == "F64" {
			for ; len(p) > 0; at, p = at+1, p[8:] {
				out[at] = math.Float64frombits(binary.LittleEndian.Uint64(p))
			}
			return
		}
		for ; len(p) > 0; at, p = at+1, p[4:] {
			out[at] = float64(math.Float32frombits(binary.LittleEndian.Uint32(p)))
		}
	})
	return out, err
}

func (f *tensorFile) float32s(name string, shape ...int) ([]float32, error) {
	t, err := f.find(name, shape, "F32")
	if err != nil {
		return nil, err
	}
	out := make([]float32, t.size())
	err = f.each(name, t, func(at int, p []byte) {
		for ; len(p) > 0; at, p = at+1, p[4:] {
			out[at] = math.Float32frombits(binary.LittleEndian.Uint32(p))
		}
	})
	return out, err
}

func (f *tensorFile) ints(name string, shape ...int) ([]int, error) {
	t, err := f.find(name, shape, "I32", "I64", "U8")
	if err != nil {
		return nil, err
	}
	out := make([]int, t.size())
	width := int(dtypeSize[t.DType])
	err = f.each(name, t, func(at int, p []byte) {
		for ; len(p) > 0; at, p = at+1, p[width:] {
			switch width {
			case 8:
				out[at] = int(int64(binary.LittleEndian.Uint64(p)))
			case 4:
				out[at] = int(int32(binary.LittleEndian.Uint32(p)))
			default:
				out[at] = int(p[0])
			}
		}
	})
	return out, err
}
