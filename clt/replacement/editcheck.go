package replacement

import (
	"math"
	"slices"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// checkEdits refuses edits that name nothing of the prompt, or the same twice.
// length is the prompt's: an open end may begin behind it.
func (m *Model) checkEdits(edits []Edit, length int) error {
	seen, added := map[[3]int]Edit{}, map[string]bool{}
	for _, e := range edits {
		if err := m.checkEdit(e, length); err != nil {
			return err
		}
		if e.Add != nil {
			if added[e.String()] {
				return refused("edit %s is given twice; keep one", e)
			}
			added[e.String()] = true
			continue
		}
		for p := e.Pos; p < length && (p == e.Pos || e.Open); p++ {
			k := [3]int{e.Layer, p, e.Index}
			if first, ok := seen[k]; ok {
				return refused("edits %s and %s change the same feature at position %d; keep one", first, e, p)
			}
			seen[k] = e
		}
	}
	return nil
}

// checkHere is checkEdits for one run on the prompt, in which an edit that begins
// behind it would do nothing.
func (l *Local) checkHere(edits []Edit) error {
	for _, e := range edits {
		if e.Pos >= len(l.Tokens) {
			return refused("edit %s: position %d is outside; the prompt has positions 0..%d", e, e.Pos, len(l.Tokens)-1)
		}
	}
	return l.checkEdits(edits, len(l.Tokens))
}

func (m *Model) checkEdit(e Edit, length int) error {
	c := m.CLT
	switch {
	case e.Take != nil:
		return refused("edit %s takes an activation from another prompt; give that prompt", e)
	case e.Layer < 0 || e.Layer >= c.Layers || e.Index < 0 || e.Index >= c.Features:
		return refused("edit %s: the transcoder has no such feature; layers are 0..%d and features 0..%d", e, c.Layers-1, c.Features-1)
	case notFinite(e.Value) || notFinite(e.Factor):
		return refused("edit %s has a value that is not finite; give a number", e)
	case e.Pos < 0 || e.Pos >= length && !e.Open:
		return refused("edit %s: position %d is outside; the prompt has positions 0..%d", e, e.Pos, length-1)
	case e.Add != nil:
		return m.checkDirection(e)
	case e.Pos < 1 && !e.Open && length == 1:
		return refused("edit %s: the prompt has one token, and position 0 holds no features; give a longer prompt", e)
	case e.Pos < 1 && !e.Open:
		return refused("edit %s: position 0 holds no features; use 1..%d", e, length-1)
	}
	return nil
}

func (m *Model) checkDirection(e Edit) error {
	d, c := e.Add, m.CLT
	switch f := d.Decoder; {
	case siteNumber(d.Site) < 0:
		return refused("edit of layer %d: vectors are not added at %q; use hook_resid_pre, hook_resid_mid, hook_mlp_out or hook_resid_post", e.Layer, d.Site)
	case notFinite(d.Scale) || slices.ContainsFunc(d.Vector, notFinite):
		return refused("edit of layer %d at position %d adds a vector that is not finite; give numbers", e.Layer, e.Pos)
	case d.Vector != nil && len(d.Vector) != c.DModel:
		return refused("edit of layer %d at position %d adds a vector of %d numbers; d_model is %d", e.Layer, e.Pos, len(d.Vector), c.DModel)
	case d.Vector != nil:
		return nil
	case f.Layer < 0 || f.Layer >= c.Layers || f.Index < 0 || f.Index >= c.Features:
		return refused("edit %s: the transcoder has no such feature; layers are 0..%d and features 0..%d", e, c.Layers-1, c.Features-1)
	case e.Layer < f.Layer || e.Layer >= f.Layer+c.Targets(f.Layer):
		return refused("edit %s: %v does not write to layer %d; it writes to layers %d..%d", e, f, e.Layer, f.Layer, f.Layer+c.Targets(f.Layer)-1)
	}
	return nil
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// vector is what an edit adds: [d_model].
func (m *Model) vector(e Edit) []float64 {
	d := m.CLT.DModel
	v := make([]float64, d)
	if e.Add.Vector != nil {
		for i := range v {
			v[i] = e.Add.Scale * e.Add.Vector[i]
		}
		return v
	}
	f := e.Add.Decoder
	for i, w := range m.CLT.Decoder(f.Layer, f.Index)[(e.Layer-f.Layer)*d:][:d] {
		v[i] = e.Add.Scale * float64(w)
	}
	return v
}

// tableRows is how many rows edit tables need: one for each position that a
// program computes or an edit begins at, and one for all after them.
func tableRows(length int, edits []Edit) int {
	rows := length + 1
	for _, e := range edits {
		rows = max(rows, e.Pos+1)
	}
	return rows
}

// editTables are the edits of features as dense tables by layer: a feature's
// activation a at position p becomes a·scale[p] + add[p]. The last row stands for
// all positions from there on. Position 0 is never edited.
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
		if e.Add != nil {
			continue
		}
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

// vectorTables are the vectors that edits add, by hook in the order of the forward
// pass, each [rows, d_model]; rows are those of editTables.
func (m *Model) vectorTables(edits []Edit, rows int) (names []gpt2.HookName, tables []gpt2.Array) {
	at := map[gpt2.HookName]int{}
	sorted := slices.DeleteFunc(slices.Clone(edits), func(e Edit) bool { return e.Add == nil })
	slices.SortStableFunc(sorted, func(a, b Edit) int {
		return len(addSites)*(a.Layer-b.Layer) + siteNumber(a.Add.Site) - siteNumber(b.Add.Site)
	})
	d := m.CLT.DModel
	for _, e := range sorted {
		name := e.Add.Site.At(e.Layer)
		k, ok := at[name]
		if !ok {
			k = len(names)
			at[name] = k
			names, tables = append(names, name), append(tables, gpt2.NewArray([]int{rows, d}, m.LM.Double))
		}
		v := m.vector(e)
		for p := e.Pos; p < rows && (p == e.Pos || e.Open); p++ {
			for i, x := range v {
				set(tables[k], p*d+i, tables[k].At(p*d+i)+x)
			}
		}
	}
	return names, tables
}

func set(a gpt2.Array, i int, v float64) {
	if a.F64 != nil {
		a.F64[i] = v
	} else {
		a.F32[i] = float32(v)
	}
}
