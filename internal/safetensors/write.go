package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
)

// Tensor is a tensor to be written. Data is little-endian and row-major.
type Tensor struct {
	Name, DType string
	Shape       []int
	Data        []byte
}

// F32 describes a float32 tensor. It shares the memory of v: do not change v before the tensor is written.
func F32(name string, shape []int, v []float32) Tensor {
	return Tensor{name, "F32", slices.Clone(shape), littleEndian(view(v), 4)}
}

// F64 describes a float64 tensor, sharing the memory of v.
func F64(name string, shape []int, v []float64) Tensor {
	return Tensor{name, "F64", slices.Clone(shape), littleEndian(view(v), 8)}
}

// I32 describes an int32 tensor, sharing the memory of v.
func I32(name string, shape []int, v []int32) Tensor {
	return Tensor{name, "I32", slices.Clone(shape), littleEndian(view(v), 4)}
}

// U8 describes a tensor of bytes, sharing the memory of v.
func U8(name string, shape []int, v []uint8) Tensor {
	return Tensor{name, "U8", slices.Clone(shape), v}
}

func littleEndian(b []byte, size int) []byte {
	if bigEndian {
		b = bytes.Clone(b)
		fixEndian(b, size)
	}
	return b
}

// Write writes a file. The same metadata and tensors give the same bytes, whatever their order: tensors are sorted by
// falling element size (so that each is aligned to its elements), then by name; the header is padded with spaces to a
// multiple of 8 bytes.
func Write(w io.Writer, metadata map[string]string, tensors ...Tensor) error {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int {
		if d := elementSize[b.DType] - elementSize[a.DType]; d != 0 {
			return int(d)
		}
		return strings.Compare(a.Name, b.Name)
	})
	head, err := buildHeader(metadata, sorted)
	if err != nil {
		return fmt.Errorf("safetensors: write: %w", err)
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("safetensors: write header: %w; is the disk full?", err)
	}
	for _, t := range sorted {
		if _, err := w.Write(t.Data); err != nil {
			return fmt.Errorf("safetensors: write tensor %q: %w; is the disk full?", t.Name, err)
		}
	}
	return nil
}

// WriteFile writes a file atomically: path holds the old file or the whole new one.
func WriteFile(path string, metadata map[string]string, tensors ...Tensor) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	defer f.Abort()
	if err := Write(f, metadata, tensors...); err != nil {
		return fmt.Errorf("%w (%s)", err, path)
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// buildHeader checks the sorted tensors and returns the length prefix and the padded JSON header.
func buildHeader(metadata map[string]string, sorted []Tensor) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	comma := ""
	if len(metadata) > 0 {
		for k, v := range metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, fmt.Errorf("metadata %q is not UTF-8; encode it first", k)
			}
		}
		fmt.Fprintf(&b, "%q:%s", metadataKey, jsonText(metadata))
		comma = ","
	}
	var at int64
	seen := map[string]bool{}
	for _, t := range sorted {
		size, err := byteSize(t.DType, t.Shape)
		switch {
		case t.Name == metadataKey || seen[t.Name] || !utf8.ValidString(t.Name):
			return nil, fmt.Errorf("tensor %q: the name is reserved, given twice or not UTF-8; choose another", t.Name)
		case err != nil:
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		case size != int64(len(t.Data)):
			return nil, fmt.Errorf("tensor %q: %d bytes of data, %s%v takes %d; pass all values", t.Name, len(t.Data), t.DType, t.Shape, size)
		}
		seen[t.Name] = true
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		fmt.Fprintf(&b, `%s%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`,
			comma, jsonText(t.Name), t.DType, jsonText(shape), at, at+size)
		comma = ","
		at += size
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len()-8 > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, the format allows %d; shorten the metadata", b.Len()-8, maxHeader)
	}
	head := b.Bytes()
	binary.LittleEndian.PutUint64(head, uint64(len(head)-8))
	return head, nil
}

// jsonText is the compact JSON of a value that always has one, with sorted keys and no HTML escapes.
func jsonText(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
