package attribution

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// View is what a saved picture adds to a graph: its name, what is pinned and
// grouped, and where things were put.
type View struct {
	Slug        string   // name of the graph, [a-z0-9_-]; made from the prompt if empty
	Scan        string   // name of the transcoder set; the CLT's name if empty
	Transcoders []string // one per layer, for sets without a common name
	Pinned      []ID
	Groups      []Group
	Clicked     ID     // the selected node, if HasClicked
	HasClicked  bool   // whether a node is selected
	LinkType    string // which links are shown: input, output, either or both (default)
	Positions   string // of the pinned subgraph: x and y pairs from 0 to 1000
	// Compat writes names as circuit-tracer 0.5.0 does, and no position and bias
	// nodes. An error node can then have the name of a feature of layer 0.
	Compat bool
}

// The public JSON schema, as circuit-tracer writes and Neuronpedia validates it.
type (
	jsonGraph struct {
		Metadata jsonMetadata `json:"metadata"`
		QParams  jsonQuery    `json:"qParams"`
		Nodes    []jsonNode   `json:"nodes"`
		Links    []jsonLink   `json:"links"`
	}
	jsonMetadata struct {
		Slug          string          `json:"slug"`
		Scan          string          `json:"scan"`
		Transcoders   []string        `json:"transcoder_list"`
		PromptTokens  []string        `json:"prompt_tokens"`
		Prompt        string          `json:"prompt"`
		NodeThreshold *float64        `json:"node_threshold,omitempty"`
		SchemaVersion int             `json:"schema_version"`
		Layers        int             `json:"n_layers,omitempty"` // attribute has it
		Info          *jsonInfo       `json:"info,omitempty"`
		Generation    *jsonGeneration `json:"generation_settings,omitempty"`
		Pruning       *jsonPruning    `json:"pruning_settings,omitempty"`
		Ours          *jsonOurs       `json:"clt_graph,omitempty"`
	}
	jsonInfo struct {
		Description string        `json:"description,omitempty"`
		Generator   jsonGenerator `json:"generator"`
	}
	jsonGenerator struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	}
	jsonGeneration struct {
		MaxLogits   int     `json:"max_n_logits,omitempty"`
		LogitProb   float64 `json:"desired_logit_prob,omitempty"`
		Batch       int     `json:"batch_size,omitempty"`
		MaxFeatures int     `json:"max_feature_nodes,omitempty"`
	}
	jsonPruning struct {
		Node float64 `json:"node_threshold"`
		Edge float64 `json:"edge_threshold"`
	}
	// jsonOurs holds what the public schema has no place for.
	jsonOurs struct {
		Format   string   `json:"format"`
		Prompt   string   `json:"prompt"`
		IDs      []int32  `json:"ids"`
		Model    Artifact `json:"model"`
		CLT      Artifact `json:"clt"`
		Settings Settings `json:"settings"`
	}
	jsonQuery struct {
		Pinned     looseNames `json:"pinnedIds"`
		Supernodes looseRows  `json:"supernodes"`
		LinkType   string     `json:"linkType"`
		Clicked    string     `json:"clickedId"`
		Positions  string     `json:"sg_pos"`
		Clerps     looseText  `json:"clerps,omitempty"`
	}
	jsonNode struct {
		ID            string          `json:"node_id"`
		Feature       *json.Number    `json:"feature"`
		Layer         json.RawMessage `json:"layer"`
		Pos           int             `json:"ctx_idx"`
		Type          string          `json:"feature_type"`
		Prob          number          `json:"token_prob"`
		IsTarget      bool            `json:"is_target_logit"`
		Run           int             `json:"run_idx"`
		ReversePos    int             `json:"reverse_ctx_idx"`
		JSID          string          `json:"jsNodeId"`
		Clerp         string          `json:"clerp"`
		Influence     *number         `json:"influence"`
		Activation    *number         `json:"activation"`
		Preactivation *number         `json:"preactivation,omitempty"`
	}
	jsonLink struct {
		Source string `json:"source"`
		Target string `json:"target"`
		Weight number `json:"weight"`
	}
)

// number prints the shortest text that reads back as the same float32 or float64.
type number struct {
	v      float64
	double bool
}

func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(n.v) || math.IsInf(n.v, 0) {
		return nil, fmt.Errorf("attribution: %v has no JSON form", n.v)
	}
	size := 32
	if n.double {
		size = 64
	}
	return strconv.AppendFloat(nil, n.v, 'g', -1, size), nil
}

func (n *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	n.v, n.double = v, true
	if errors.Is(err, strconv.ErrRange) { // infinite: the check of the graph names its node
		return nil
	}
	return err
}

// The feature types of the public schema, and ours for what peers do not have.
const (
	typeFeature  = "cross layer transcoder"
	typeError    = "mlp reconstruction error"
	typeToken    = "embedding"
	typeLogit    = "logit"
	typePosition = "position embedding"
	typeBias     = "bias"
)

var typeOf = map[Kind]string{Feature: typeFeature, Error: typeError, Token: typeToken,
	Position: typePosition, Bias: typeBias, Logit: typeLogit}

var kindOf = map[string]Kind{typeFeature: Feature, typeError: Error, typeToken: Token,
	typePosition: Position, typeBias: Bias, typeLogit: Logit,
	"lorsa": Feature, "lorsa error": Error, // Llamascopium's attention features
	"unknown": Feature} // what a viewer could not tell

// maxCantor is the sum from which two numbers have no pair in 64 bits.
const maxCantor = 1 << 31

// cantor pairs two numbers into one: the schema's feature number.
func cantor(x, y int) int64 {
	s := int64(x) + int64(y)
	return s*(s+1)/2 + int64(y)
}

// uncantor inverts cantor for z >= 0.
func uncantor(z int64) (x, y int) {
	w := (isqrt(8*uint64(z)+1) - 1) / 2
	rest := uint64(z) - w*(w+1)/2
	return int(w - rest), int(rest)
}

// isqrt is the integer square root.
func isqrt(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	x := uint64(1) << ((bits.Len64(n) + 1) / 2)
	for {
		y := (x + n/x) / 2
		if y >= x {
			return x
		}
		x = y
	}
}

// nodeName is the public name of a node, unique within a graph unless compat.
func nodeName(n ID, compat bool) string {
	switch n.Kind {
	case Feature:
		return fmt.Sprintf("%d_%d_%d", n.Layer, n.Index, n.Pos)
	case Error:
		if compat {
			return fmt.Sprintf("0_%d_%d", n.Layer, n.Pos)
		}
		return fmt.Sprintf("%d_-1_%d", n.Layer, n.Pos)
	case Token:
		return fmt.Sprintf("E_%d_%d", n.Index, n.Pos)
	case Position:
		return fmt.Sprintf("P_%d", n.Pos)
	case Bias:
		if n.Layer != 0 || n.Pos != 0 {
			return fmt.Sprintf("bias_%d_%d", n.Layer, n.Pos)
		}
		return "bias"
	}
	return fmt.Sprintf("%d_%d_%d", n.Layer+1, n.Index, n.Pos)
}

// jsName is the name under which the public viewers share hovering: without
// position for features.
func jsName(n ID, compat bool) string {
	switch n.Kind {
	case Feature:
		return fmt.Sprintf("%d_%d-0", n.Layer, n.Index)
	case Error:
		if compat {
			return fmt.Sprintf("%d_%d-0", n.Layer, n.Pos)
		}
		return fmt.Sprintf("%d_-1-%d", n.Layer, n.Pos)
	case Token:
		return fmt.Sprintf("E_%d-%d", n.Index, n.Pos)
	case Position:
		return fmt.Sprintf("P_%d-0", n.Pos)
	case Bias:
		return nodeName(n, false) + "-0"
	}
	return fmt.Sprintf("L_%d-%d", n.Index, n.Pos)
}

// slug makes a name of the allowed letters.
func slug(text, otherwise string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 48 {
			break
		}
	}
	if name := strings.Trim(b.String(), "-"); name != "" {
		return name
	}
	return otherwise
}

// WriteJSON writes the graph in the public schema, one node or link a line. It
// writes all nodes and all non-zero weights, so prune first. The influence of a
// node is its Cumulative; if the graph was never ranked, that of this graph.
// Equal input gives equal bytes.
func WriteJSON(w io.Writer, g *Graph, v View) error {
	if err := g.check(); err != nil {
		return err
	}
	cumulative, err := g.cumulative()
	if err != nil {
		return err
	}
	out := &lineWriter{w: w}
	out.part(`{"metadata":`, g.jsonMetadata(v))
	out.part(",\n\"qParams\":", g.jsonQuery(v))
	out.text(",\n\"nodes\":[")
	sep := "\n"
	top := g.TopTarget()
	for i := range g.Nodes {
		if v.Compat && !g.Nodes[i].public() {
			continue
		}
		out.part(sep, g.jsonNode(i, i == top, cumulative[i], v.Compat))
		sep = ",\n"
	}
	out.text("],\n\"links\":[")
	sep = "\n"
	for t := range g.Nodes {
		if !g.Nodes[t].Kind.IsTarget() {
			continue
		}
		for s := range g.Nodes {
			if weight := g.Weight(t, s); weight != 0 && (!v.Compat || g.Nodes[s].public()) {
				out.part(sep, jsonLink{nodeName(g.Nodes[s].ID, v.Compat), nodeName(g.Nodes[t].ID, v.Compat), g.number(weight)})
				sep = ",\n"
			}
		}
	}
	out.text("]}\n")
	return out.flush()
}

// public says whether peers know nodes of this kind.
func (n *Node) public() bool { return n.Kind != Position && n.Kind != Bias }
