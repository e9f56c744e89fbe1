package clt

import "fmt"

// Feature names one feature of a transcoder.
type Feature struct {
	Layer int `json:"layer"` // layer whose activations it reads
	Index int `json:"index"` // 0 … Features-1
}

// String is "L3/F128".
func (f Feature) String() string { return fmt.Sprintf("L%d/F%d", f.Layer, f.Index) }

// Activation is one active feature at one position of a prompt.
type Activation struct {
	Feature
	Pos   int     `json:"pos"`
	Value float32 `json:"value"`
}

// Sparse lists the non-zero entries of one layer's activations, [pos, features],
// in the order of position and index, and appends them to dst.
func Sparse(dst []Activation, layer, features int, dense []float32) []Activation {
	for i, v := range dense {
		if v != 0 {
			dst = append(dst, Activation{Feature{layer, i % features}, i / features, v})
		}
	}
	return dst
}
