package replacement

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Edit changes one feature: its activation becomes Value, or its own times
// Factor.
type Edit struct {
	clt.Feature
	Pos    int
	Open   bool // at this and every later position
	Scale  bool // multiply by Factor; otherwise set to Value
	Value  float64
	Factor float64
}

// String is the edit as the command line writes it.
func (e Edit) String() string {
	pos := strconv.Itoa(e.Pos)
	if e.Open {
		pos += ":"
	}
	if e.Scale {
		return fmt.Sprintf("%d,%s,%d*%g", e.Layer, pos, e.Index, e.Factor)
	}
	return fmt.Sprintf("%d,%s,%d=%g", e.Layer, pos, e.Index, e.Value)
}

// ParseEdit reads "L,P,F=VALUE" or "L,P,F*FACTOR"; P may be "a:" for position a
// and all after it.
func ParseEdit(s string) (Edit, error) {
	bad := func() (Edit, error) {
		return Edit{}, fmt.Errorf("replacement: edit %q: want L,P,F=VALUE or L,P,F*FACTOR, with P a position or \"a:\"", s)
	}
	var e Edit
	i := strings.IndexAny(s, "=*")
	if i < 0 {
		return bad()
	}
	v, err := strconv.ParseFloat(s[i+1:], 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return bad()
	}
	if e.Scale = s[i] == '*'; e.Scale {
		e.Factor = v
	} else {
		e.Value = v
	}
	parts := strings.Split(s[:i], ",")
	if len(parts) != 3 {
		return bad()
	}
	parts[1], e.Open = strings.CutSuffix(parts[1], ":")
	for j, dst := range []*int{&e.Layer, &e.Pos, &e.Index} {
		if *dst, err = strconv.Atoi(strings.TrimSpace(parts[j])); err != nil || *dst < 0 {
			return bad()
		}
	}
	return e, nil
}

// checkEdits refuses edits that name no feature of the prompt, or the same twice.
func (m *Model) checkEdits(edits []Edit, length int) error {
	seen := map[[3]int]Edit{}
	for _, e := range edits {
		switch {
		case e.Layer < 0 || e.Layer >= m.CLT.Layers || e.Index < 0 || e.Index >= m.CLT.Features:
			return fmt.Errorf("replacement: edit %s: layers are 0..%d and features 0..%d", e, m.CLT.Layers-1, m.CLT.Features-1)
		case e.Pos < 1 && !e.Open:
			return fmt.Errorf("replacement: edit %s: position 0 holds no features; use 1..%d", e, length-1)
		case e.Pos >= length && !e.Open:
			return fmt.Errorf("replacement: edit %s: the prompt has positions 0..%d", e, length-1)
		}
		for p := e.Pos; p < length && (p == e.Pos || e.Open); p++ {
			k := [3]int{e.Layer, p, e.Index}
			if first, ok := seen[k]; ok {
				return fmt.Errorf("replacement: edits %s and %s change the same feature at position %d; keep one", first, e, p)
			}
			seen[k] = e
		}
	}
	return nil
}

// editTables are the edits as dense tables by layer: a feature's activation a at
// position p becomes a·scale[p] + add[p]. The last row stands for all positions
// from there on. Position 0 is never edited.
func (m *Model) editTables(edits []Edit, rows int) (scale, add []gpt2.Array) {
	f := m.CLT.Features
	for range m.CLT.Layers {
		s, a := gpt2.NewArray([]int{rows, f}, m.LM.Double), gpt2.NewArray([]int{rows, f}, m.LM.Double)
		for i := range rows * f {
			set(s, i, 1)
		}
		scale, add = append(scale, s), append(add, a)
	}
	for _, e := range edits {
		for p := max(1, e.Pos); p < rows && (p == e.Pos || e.Open); p++ {
			i := p*f + e.Index
			if e.Scale {
				set(scale[e.Layer], i, e.Factor)
			} else {
				set(scale[e.Layer], i, 0)
				set(add[e.Layer], i, e.Value)
			}
		}
	}
	return scale, add
}

func set(a gpt2.Array, i int, v float64) {
	if a.F64 != nil {
		a.F64[i] = v
	} else {
		a.F32[i] = float32(v)
	}
}
