package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"unsafe"
)

// File is an opened safetensors file. Its methods may be called from several goroutines at once.
type File struct {
	name   string
	reader io.ReaderAt
	memory []byte // the whole file, when it was parsed from memory
	closer io.Closer
	header *header
	stat   fs.FileInfo // when it was opened; nil in memory
}

// Open opens the file at path and checks its header. Tensors are read when asked for.
func Open(path string) (*File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, fmt.Errorf("safetensors: %s: not a regular file; name the file, not its folder", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w; check the path", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("safetensors: %s: not a regular file; name the file, not its folder", path)
	}
	h, err := readHeader(f, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	return &File{name: path, reader: f, closer: f, header: h, stat: info}, nil
}

// OpenFS opens a file of a file system, such as os.DirFS or an embedded one. Tensors are read when asked for if its files
// can be read at any offset; else the whole file is read now.
func OpenFS(fsys fs.FS, name string) (*File, error) {
	if info, err := fs.Stat(fsys, name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("safetensors: %s: not a regular file; name the file, not its folder", name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w; check the path", err)
	}
	info, err := f.Stat()
	r, seekable := f.(io.ReaderAt)
	switch {
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("safetensors: %w", err)
	case !info.Mode().IsRegular():
		f.Close()
		return nil, fmt.Errorf("safetensors: %s: not a regular file; name the file, not its folder", name)
	case !seekable:
		defer f.Close()
		data, err := io.ReadAll(f)
		if err != nil {
			return nil, fmt.Errorf("safetensors: %s: %w", name, err)
		}
		return Parse(name, data)
	}
	h, err := readHeader(r, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("safetensors: %s: %w", name, err)
	}
	return &File{name: name, reader: r, closer: f, header: h, stat: info}, nil
}

// Parse reads a file that lies in memory, such as an embedded one; name is used in errors. The data is not copied.
func Parse(name string, data []byte) (*File, error) {
	r := bytes.NewReader(data)
	h, err := readHeader(r, int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", name, err)
	}
	return &File{name: name, reader: r, memory: data, header: h}, nil
}

// Close closes the file. Values already read stay valid.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Name is the path or name by which the file was opened.
func (f *File) Name() string { return f.name }

// Names returns the tensor names, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.header.tensors)) }

// Info returns the description of a tensor, and whether there is one of that name.
func (f *File) Info(name string) (Info, bool) {
	info, ok := f.header.tensors[name]
	info.Shape = slices.Clone(info.Shape)
	return info, ok
}

// Metadata returns a copy of the file's text metadata; it is never nil.
func (f *File) Metadata() map[string]string { return maps.Clone(f.header.metadata) }

// errorf is an error that names file and tensor.
func (f *File) errorf(name, format string, args ...any) error {
	return fmt.Errorf("safetensors: %s: tensor %q: %w", f.name, name, fmt.Errorf(format, args...))
}

func (f *File) find(name string) (Info, error) {
	info, ok := f.header.tensors[name]
	if ok {
		return info, nil
	}
	names := f.Names()
	const most = 8
	list := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		list += ", ..."
	}
	return info, f.errorf(name, "not in the file, which has %d tensors: %s", len(names), list)
}

// Bytes returns a tensor's bytes as stored (little-endian, row-major). For a file opened with Parse they share its
// memory and must not be changed.
func (f *File) Bytes(name string) ([]byte, error) {
	info, err := f.find(name)
	if err != nil {
		return nil, err
	}
	return f.slice(info, info.Begin, info.End)
}

// slice returns the bytes [begin, end) of the data section.
func (f *File) slice(info Info, begin, end int64) ([]byte, error) {
	begin, end = f.header.data+begin, f.header.data+end
	if f.memory != nil {
		return f.memory[begin:end:end], nil
	}
	out := make([]byte, end-begin)
	if err := readFull(f.reader, out, begin); err != nil {
		return nil, f.errorf(info.Name, "%w", err)
	}
	return out, nil
}

// Float32 returns a tensor's values in row-major order, converting from F64 (rounded to nearest), F16 and BF16.
func (f *File) Float32(name string) ([]float32, error) {
	info, err := f.find(name)
	if err != nil {
		return nil, err
	}
	return f.float32s(info, info.Begin, info.End)
}

// Rows returns n rows of a tensor from row on, along its first axis, as Float32 would, reading nothing else.
func (f *File) Rows(name string, row, n int) ([]float32, error) {
	info, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if len(info.Shape) == 0 {
		return nil, f.errorf(name, "a scalar has no rows; read it with Float32")
	}
	if row < 0 || n < 0 || row > info.Shape[0]-n {
		return nil, f.errorf(name, "rows [%d, %d+%d) of shape %v; ask for rows in [0, %d)", row, row, n, info.Shape, info.Shape[0])
	}
	var stride int64
	if info.Shape[0] > 0 {
		stride = (info.End - info.Begin) / int64(info.Shape[0])
	}
	begin := info.Begin + int64(row)*stride
	return f.float32s(info, begin, begin+int64(n)*stride)
}

func (f *File) float32s(info Info, begin, end int64) ([]float32, error) {
	if info.DType == "F32" { // read straight into the result
		out := make([]float32, (end-begin)/4)
		view := view(out)
		if err := readFull(f.reader, view, f.header.data+begin); len(view) > 0 && err != nil {
			return nil, f.errorf(info.Name, "%w", err)
		}
		fixEndian(view, 4)
		return out, nil
	}
	raw, err := f.slice(info, begin, end)
	if err != nil {
		return nil, err
	}
	return toFloat32(f, info, raw)
}

func toFloat32(f *File, info Info, raw []byte) ([]float32, error) {
	return convert(f, info, raw, func(x float32) float32 { return x }, func(x float64) float32 { return float32(x) })
}

func toFloat64(f *File, info Info, raw []byte) ([]float64, error) {
	return convert(f, info, raw, func(x float32) float64 { return float64(x) }, func(x float64) float64 { return x })
}

// Float64 returns a tensor's values in row-major order; F32, F16 and BF16 convert exactly.
func (f *File) Float64(name string) ([]float64, error) {
	raw, err := f.Bytes(name)
	if err != nil {
		return nil, err
	}
	return toFloat64(f, f.header.tensors[name], raw)
}

// convert decodes a tensor of a floating-point dtype.
func convert[T float32 | float64](f *File, info Info, raw []byte, narrow func(float32) T, wide func(float64) T) ([]T, error) {
	le := binary.LittleEndian
	out := make([]T, int64(len(raw))/elementSize[info.DType])
	switch info.DType {
	case "F64":
		for i := range out {
			out[i] = wide(math.Float64frombits(le.Uint64(raw[8*i:])))
		}
	case "F32":
		for i := range out {
			out[i] = narrow(math.Float32frombits(le.Uint32(raw[4*i:])))
		}
	case "BF16":
		for i := range out {
			out[i] = narrow(math.Float32frombits(uint32(le.Uint16(raw[2*i:])) << 16))
		}
	case "F16":
		for i := range out {
			out[i] = narrow(halfToFloat(le.Uint16(raw[2*i:])))
		}
	default:
		return nil, f.errorf(info.Name, "dtype %s is not a floating-point one this reader converts; read F32, F64, F16 or BF16", info.DType)
	}
	return out, nil
}

// halfToFloat converts an IEEE 754 binary16 number; the conversion is exact.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10)&31, uint32(h)&1023
	switch exponent {
	case 0: // zero and subnormal: fraction * 2^-24
		return math.Float32frombits(math.Float32bits(float32(fraction)*0x1p-24) | sign)
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// Int32 returns a tensor of an integer dtype or BOOL; a value outside int32 is an error.
func (f *File) Int32(name string) ([]int32, error) {
	raw, err := f.Bytes(name)
	if err != nil {
		return nil, err
	}
	info := f.header.tensors[name]
	le := binary.LittleEndian
	var at func(i int) int64
	switch info.DType {
	case "I64":
		at = func(i int) int64 { return int64(le.Uint64(raw[8*i:])) }
	case "U64": // values of 2^63 and more become negative: out of range either way below
		at = func(i int) int64 {
			if v := le.Uint64(raw[8*i:]); v <= math.MaxInt64 {
				return int64(v)
			}
			return math.MaxInt64
		}
	case "I32":
		at = func(i int) int64 { return int64(int32(le.Uint32(raw[4*i:]))) }
	case "U32":
		at = func(i int) int64 { return int64(le.Uint32(raw[4*i:])) }
	case "I16":
		at = func(i int) int64 { return int64(int16(le.Uint16(raw[2*i:]))) }
	case "U16":
		at = func(i int) int64 { return int64(le.Uint16(raw[2*i:])) }
	case "I8":
		at = func(i int) int64 { return int64(int8(raw[i])) }
	case "U8", "BOOL":
		at = func(i int) int64 { return int64(raw[i]) }
	default:
		return nil, f.errorf(name, "dtype %s is not an integer one; read it with Float32 or Float64", info.DType)
	}
	out := make([]int32, int64(len(raw))/elementSize[info.DType])
	for i := range out {
		v := at(i)
		if v < math.MinInt32 || v > math.MaxInt32 {
			return nil, f.errorf(name, "element %d is %d, outside int32; read it with Bytes", i, v)
		}
		out[i] = int32(v)
	}
	return out, nil
}

// view returns the memory of a slice of fixed-size numbers.
func view[T float32 | float64 | int32 | uint8](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

var bigEndian = binary.NativeEndian.Uint16([]byte{1, 0}) != 1

// fixEndian turns little-endian elements of the given size into native ones, or back, in place.
func fixEndian(b []byte, size int) {
	if !bigEndian {
		return
	}
	for ; len(b) >= size; b = b[size:] {
		slices.Reverse(b[:size])
	}
}
