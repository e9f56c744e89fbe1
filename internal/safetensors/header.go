package safetensors

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
	"unicode/utf8"
)

// maxHeader is the longest header accepted, in bytes; the format's own limit.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

// elementSize is the size in bytes of one element of each dtype.
var elementSize = map[string]int64{
	"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8,
	"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}

// Info describes one tensor: Shape is row-major, Begin and End are byte offsets from the start of the data section.
type Info struct {
	Name, DType string
	Shape       []int
	Begin, End  int64
}

// Elements returns the number of elements, 1 for a scalar.
func (i Info) Elements() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// header is the checked content of a file's header.
type header struct {
	tensors  map[string]Info
	metadata map[string]string
	data     int64 // offset of the data section in the file
}

// readHeader reads and checks the header of a file of the given size.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	if size < 8 {
		return nil, fmt.Errorf("only %d bytes, a safetensors file begins with an 8-byte header length; fetch the file again", size)
	}
	var prefix [8]byte
	if err := readFull(r, prefix[:], 0); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > maxHeader {
		return nil, fmt.Errorf("header length %d is above the format's limit of %d; is it a safetensors file?", length, maxHeader)
	}
	if int64(length) > size-8 {
		return nil, fmt.Errorf("header length %d, but only %d bytes follow; the file is cut off, fetch it again", length, size-8)
	}
	text := make([]byte, length)
	if err := readFull(r, text, 8); err != nil {
		return nil, err
	}
	h, err := parseHeader(text)
	if err != nil {
		return nil, err
	}
	h.data = 8 + int64(length)
	return h, h.checkRanges(size - h.data)
}

func readFull(r io.ReaderAt, dst []byte, off int64) error {
	if n, err := r.ReadAt(dst, off); n < len(dst) {
		return fmt.Errorf("read %d bytes at offset %d: %w; the file changed or the disk fails", len(dst), off, err)
	}
	return nil
}

func parseHeader(text []byte) (*header, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, fmt.Errorf("header is not a JSON object (begins with %q); is it a safetensors file?", clip(text))
	}
	if !utf8.Valid(text) {
		return nil, errors.New("header is not UTF-8; the file is damaged, fetch it again")
	}
	h := &header{tensors: map[string]Info{}, metadata: map[string]string{}}
	d := json.NewDecoder(bytes.NewReader(text))
	err := object(d, func(name string) error {
		if name == metadataKey {
			return object(d, func(key string) error {
				value, err := stringValue(d)
				h.metadata[key] = value
				return err
			})
		}
		info, err := tensorValue(d, name)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		h.tensors[name] = info
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("header: %w; the file is damaged, fetch or write it again", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("header: text after the JSON object; the file is damaged, fetch or write it again")
	}
	return h, nil
}

// object reads a JSON object, calling value for each key to read its value. A key that occurs twice is an error.
func object(d *json.Decoder, value func(key string) error) error {
	open, err := d.Token()
	if err != nil {
		return fmt.Errorf("not JSON: %w", noEOF(err))
	}
	if open != json.Delim('{') {
		return fmt.Errorf("found %v where an object should begin", open)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("not JSON: %w", noEOF(err))
		}
		key := token.(string) // the decoder accepts nothing else before a colon
		if seen[key] {
			return fmt.Errorf("key %q occurs twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	if _, err = d.Token(); err != nil {
		return fmt.Errorf("not JSON: %w", noEOF(err))
	}
	return nil
}

// tensorValue reads the object that describes one tensor and checks its range against dtype and shape.
func tensorValue(d *json.Decoder, name string) (Info, error) {
	info := Info{Name: name}
	var offsets []int64
	err := object(d, func(key string) (err error) {
		switch key {
		case "dtype":
			info.DType, err = stringValue(d)
		case "shape":
			var shape []int64
			if shape, err = integers(d); err == nil {
				info.Shape = make([]int, len(shape))
				for i, n := range shape {
					info.Shape[i] = int(n)
				}
			}
		case "data_offsets":
			offsets, err = integers(d)
		default:
			err = errors.New("unknown key")
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", clip([]byte(key)), err)
		}
		return err
	})
	switch {
	case err != nil:
		return info, err
	case info.DType == "":
		return info, errors.New("no dtype")
	case info.Shape == nil:
		return info, errors.New("no shape")
	case len(offsets) != 2:
		return info, fmt.Errorf("data_offsets has %d numbers, want 2", len(offsets))
	}
	info.Begin, info.End = offsets[0], offsets[1]
	return info, info.check()
}

// check compares the length of the range with dtype and shape.
func (i Info) check() error {
	want, err := byteSize(i.DType, i.Shape)
	if err != nil {
		return err
	}
	if i.End < i.Begin || i.End-i.Begin != want {
		return fmt.Errorf("data_offsets [%d, %d], but %s%v takes %d bytes", i.Begin, i.End, i.DType, i.Shape, want)
	}
	return nil
}

// byteSize returns the bytes that a tensor takes, refusing unknown dtypes, negative dimensions and overflow.
func byteSize(dtype string, shape []int) (int64, error) {
	n, ok := elementSize[dtype]
	if !ok {
		return 0, fmt.Errorf("unknown dtype %q", dtype)
	}
	empty := slices.Contains(shape, 0)
	for _, dim := range shape {
		if dim < 0 {
			return 0, fmt.Errorf("negative dimension in shape %v", shape)
		}
		if empty {
			continue
		}
		if n > math.MaxInt64/int64(dim) {
			return 0, fmt.Errorf("shape %v overflows", shape)
		}
		n *= int64(dim)
	}
	if empty {
		return 0, nil
	}
	return n, nil
}

// checkRanges makes sure that the tensors fill the data section of the given size with no overlap and no hole.
func (h *header) checkRanges(size int64) error {
	list := make([]Info, 0, len(h.tensors))
	for _, info := range h.tensors {
		if info.End > size {
			return fmt.Errorf("tensor %q: bytes [%d, %d] of %d; the file is cut off, fetch it again", info.Name, info.Begin, info.End, size)
		}
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b Info) int {
		if a.Begin != b.Begin {
			return int(min(max(a.Begin-b.Begin, -1), 1))
		}
		if a.End != b.End {
			return int(min(max(a.End-b.End, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
	var end int64
	var last string
	for _, info := range list {
		switch {
		case info.Begin < end:
			return fmt.Errorf("tensor %q overlaps tensor %q at byte %d; the file is damaged, fetch or write it again", info.Name, last, info.Begin)
		case info.Begin > end:
			return fmt.Errorf("tensor %q: bytes [%d, %d] before it belong to no tensor; the file is damaged, fetch or write it again", info.Name, end, info.Begin)
		}
		end, last = info.End, info.Name
	}
	if end != size {
		return fmt.Errorf("%d bytes after the last tensor; the file is damaged, fetch or write it again", size-end)
	}
	return nil
}

func stringValue(d *json.Decoder) (string, error) {
	token, err := d.Token()
	if err != nil {
		return "", fmt.Errorf("not JSON: %w", noEOF(err))
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("found %v where a text should be", token)
	}
	return s, nil
}

// integers reads an array of non-negative integers; the result is not nil.
func integers(d *json.Decoder) ([]int64, error) {
	var list []*int64
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("not a list of integers: %w", noEOF(err))
	}
	if list == nil {
		return nil, errors.New("not a list of integers: null")
	}
	out := make([]int64, len(list))
	for i, n := range list {
		if n == nil || *n < 0 || *n > math.MaxInt {
			return nil, errors.New("not a list of non-negative integers")
		}
		out[i] = *n
	}
	return out, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// clip shortens text for an error message.
func clip(text []byte) []byte { return text[:min(len(text), 16)] }
