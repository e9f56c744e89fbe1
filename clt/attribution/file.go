package attribution

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
)

// FileFormat is the value of `format` in the metadata of a graph file. Files of
// other formats are refused.
const FileFormat = "clt-graph/1"

// WriteSafetensors writes the whole graph: adjacency [node, node] (row =
// target), kind, layer, pos, index, activation, preactivation, prob [node], and
// influence [node] (Node.Cumulative) if the graph was ranked. Numbers are F32,
// or F64 if the graph's weights are float64. Prompt, tokens, settings, labels
// and the names of model and CLT are metadata. Equal graphs give equal bytes.
// The caller sees to it that the file is written whole or not at all.
func WriteSafetensors(w io.Writer, g *Graph) error {
	if err := g.check(); err != nil {
		return err
	}
	metadata, err := g.metadata()
	if err != nil {
		return err
	}
	n := len(g.Nodes)
	kind, layer, pos, index := make([]uint8, n), make([]int32, n), make([]int32, n), make([]int32, n)
	ranked := false
	for i := range g.Nodes {
		node := &g.Nodes[i]
		if max(node.Layer, node.Pos, node.Index) > math.MaxInt32 {
			return fmt.Errorf("attribution: %v has a number that does not fit 32 bits", node.ID)
		}
		kind[i], layer[i], pos[i], index[i] = uint8(node.Kind), int32(node.Layer), int32(node.Pos), int32(node.Index)
		ranked = ranked || node.Cumulative != 0
	}
	one := []int{n}
	columns := []column{{"kind", one, kind}, {"layer", one, layer}, {"pos", one, pos}, {"index", one, index},
		{"activation", one, g.values(func(n *Node) float64 { return n.Activation })},
		{"preactivation", one, g.values(func(n *Node) float64 { return n.Preactivation })},
		{"prob", one, g.values(func(n *Node) float64 { return n.Prob })}}
	if ranked {
		columns = append(columns, column{"influence", one, g.values(func(n *Node) float64 { return n.Cumulative })})
	}
	if g.Weights.Double() {
		columns = append(columns, column{"adjacency", []int{n, n}, g.Weights.F64})
	} else {
		columns = append(columns, column{"adjacency", []int{n, n}, g.Weights.F32})
	}
	return writeTensors(w, metadata, columns)
}

// values collects one field in the graph's precision.
func (g *Graph) values(field func(*Node) float64) any {
	if g.Weights.Double() {
		out := make([]float64, len(g.Nodes))
		for i := range out {
			out[i] = field(&g.Nodes[i])
		}
		return out
	}
	out := make([]float32, len(g.Nodes))
	for i := range out {
		out[i] = float32(field(&g.Nodes[i]))
	}
	return out
}

func (g *Graph) metadata() (map[string]string, error) {
	labels := map[string]string{}
	for i := range g.Nodes {
		if g.Nodes[i].Label != "" {
			labels[strconv.Itoa(i)] = g.Nodes[i].Label
		}
	}
	m := map[string]string{
		"format": FileFormat, "prompt": g.Prompt,
		"model": g.Model.Name, "model_sha256": g.Model.SHA256,
		"clt": g.CLT.Name, "clt_sha256": g.CLT.SHA256,
	}
	for key, value := range map[string]any{
		"tokens": orEmpty(g.Tokens), "ids": orEmpty(g.IDs), "settings": g.Settings, "labels": labels,
	} {
		text, err := marshal(value)
		if err != nil {
			return nil, fmt.Errorf("attribution: metadata %s: %w", key, err)
		}
		m[key] = string(text)
	}
	return m, nil
}

// orEmpty makes JSON write [] and not null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// ReadSafetensors reads what WriteSafetensors wrote. A file of another format,
// a missing or misshapen tensor, a weight that is not finite and a circle of
// edges are errors that say which.
func ReadSafetensors(r io.ReaderAt, size int64) (*Graph, error) {
	f, err := openTensors(r, size)
	if err != nil {
		return nil, err
	}
	switch format, have := f.metadata["format"]; {
	case !have:
		return nil, fmt.Errorf("attribution: file has no format in its metadata, wants %q; is it a graph?", FileFormat)
	case format != FileFormat:
		return nil, fmt.Errorf("attribution: file has format %q, this program reads %q; make the graph again or use the program that wrote it", format, FileFormat)
	}
	g := &Graph{
		Prompt: f.metadata["prompt"],
		Model:  Artifact{f.metadata["model"], f.metadata["model_sha256"]},
		CLT:    Artifact{f.metadata["clt"], f.metadata["clt_sha256"]},
	}
	for _, m := range []struct {
		key string
		to  any
	}{{"tokens", &g.Tokens}, {"ids", &g.IDs}, {"settings", &g.Settings}} {
		text, have := f.metadata[m.key]
		if !have {
			continue
		}
		if err := json.Unmarshal([]byte(text), m.to); err != nil {
			return nil, fmt.Errorf("attribution: metadata %q: %w", m.key, err)
		}
	}
	if err := g.readNodes(f); err != nil {
		return nil, err
	}
	if err := g.readWeights(f); err != nil {
		return nil, err
	}
	return g, g.check()
}

func (g *Graph) readNodes(f *tensorFile) error {
	info, have := f.tensors["kind"]
	if !have || len(info.Shape) != 1 {
		return fmt.Errorf("attribution: tensor %q is missing or has not one axis", "kind")
	}
	n := info.Shape[0]
	if err := CheckSize(n, f.tensors["adjacency"].DType == "F64", 0); err != nil {
		return err
	}
	g.Nodes = make([]Node, n)
	for _, c := range []struct {
		name string
		set  func(node *Node, v int)
	}{
		{"kind", func(node *Node, v int) { node.Kind = Kind(min(uint(v), 255)) }},
		{"layer", func(node *Node, v int) { node.Layer = v }},
		{"pos", func(node *Node, v int) { node.Pos = v }},
		{"index", func(node *Node, v int) { node.Index = v }},
	} {
		values, err := f.ints(c.name, n)
		if err != nil {
			return err
		}
		for i, v := range values {
			c.set(&g.Nodes[i], v)
		}
	}
	for _, c := range []struct {
		name string
		set  func(node *Node, v float64)
	}{
		{"activation", func(node *Node, v float64) { node.Activation = v }},
		{"preactivation", func(node *Node, v float64) { node.Preactivation = v }},
		{"prob", func(node *Node, v float64) { node.Prob = v }},
		{"influence", func(node *Node, v float64) { node.Cumulative = v }},
	} {
		if _, have := f.tensors[c.name]; !have && c.name == "influence" {
			continue
		}
		values, err := f.float64s(c.name, n)
		if err != nil {
			return err
		}
		for i, v := range values {
			c.set(&g.Nodes[i], v)
		}
	}
	for i := range g.Nodes {
		g.Nodes[i].ID = g.Nodes[i].onlyUsed()
	}
	return g.readLabels(f.metadata["labels"])
}

func (g *Graph) readLabels(text string) error {
	if text == "" {
		return nil
	}
	var labels map[string]string
	if err := json.Unmarshal([]byte(text), &labels); err != nil {
		return fmt.Errorf("attribution: metadata %q: %w", "labels", err)
	}
	for key, label := range labels {
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(g.Nodes) {
			return fmt.Errorf("attribution: metadata %q names node %q of %d", "labels", key, len(g.Nodes))
		}
		g.Nodes[i].Label = label
	}
	return nil
}

func (g *Graph) readWeights(f *tensorFile) (err error) {
	n := len(g.Nodes)
	g.Weights.N = n
	if f.tensors["adjacency"].DType == "F64" {
		g.Weights.F64, err = f.float64s("adjacency", n, n)
	} else {
		g.Weights.F32, err = f.float32s("adjacency", n, n)
	}
	return err
}
