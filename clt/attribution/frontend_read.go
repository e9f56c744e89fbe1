package attribution

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ReadJSON reads a graph in the public schema, from this package or from others
// (circuit-tracer old and new, Neuronpedia, the frontend's first version). Nodes
// are known by type, layer, feature and position; their names serve only to
// resolve links. Where circuit-tracer gave an error node the name of a feature,
// the link's target and the order of links tell them apart; if they do not, and
// if a link's end is unknown or a node is there twice, the error names both.
//
// Weights are taken as they stand: EleutherAI's attribute writes those of edges from
// features without the feature's activation, and no activation either.
func ReadJSON(r io.Reader) (*Graph, View, error) { return readJSONWithin(r, MaxBytes) }

func readJSONWithin(r io.Reader, budget int64) (*Graph, View, error) {
	data, err := io.ReadAll(io.LimitReader(r, budget+1))
	if err != nil {
		return nil, View{}, fmt.Errorf("attribution: read graph: %w", err)
	}
	if int64(len(data)) > budget {
		return nil, View{}, fmt.Errorf("attribution: read graph: the text is longer than the budget of %s; prune the graph first, or have it as safetensors", mib(budget))
	}
	var in jsonGraph
	if err := json.Unmarshal(data, &in); err != nil {
		if strings.Contains(err.Error(), "after top-level value") {
			return nil, View{}, fmt.Errorf("attribution: read graph: something follows the graph; cut it off")
		}
		return nil, View{}, fmt.Errorf("attribution: read graph: %w", syntaxError(data, err))
	}
	if in.Nodes == nil || in.Links == nil {
		return nil, View{}, fmt.Errorf("attribution: read graph: no nodes or no links; is this a graph in the public JSON schema?")
	}
	double := in.Metadata.Ours != nil && in.Metadata.Ours.Settings.DType == "f64"
	if err := CheckSize(len(in.Nodes), double, 0); err != nil {
		return nil, View{}, err
	}
	g := &Graph{Prompt: in.Metadata.Prompt, Tokens: in.Metadata.PromptTokens, Settings: Settings{RowIdentity: -1}}
	if p := in.Metadata.Pruning; p != nil {
		g.Settings.cut(p.Node, p.Edge)
	} else if in.Metadata.NodeThreshold != nil {
		g.Settings.cut(*in.Metadata.NodeThreshold, 0)
	}
	if ours := in.Metadata.Ours; ours != nil {
		if ours.Format != FileFormat {
			return nil, View{}, fmt.Errorf("attribution: graph has format %q, this program reads %q", ours.Format, FileFormat)
		}
		g.Prompt, g.IDs, g.Model, g.CLT, g.Settings = ours.Prompt, ours.IDs, ours.Model, ours.CLT, ours.Settings
	}
	names, err := g.fromJSON(&in)
	if err != nil {
		return nil, View{}, err
	}
	if err := g.check(); err != nil {
		return nil, View{}, err
	}
	if in.Metadata.Ours == nil && g.Count(Logit) == 0 {
		return nil, View{}, fmt.Errorf("attribution: read graph: it has no logit and so explains nothing; write it again with its targets")
	}
	return g, g.viewFrom(&in, names), nil
}

// fromJSON fills nodes and weights and returns the nodes of each name.
func (g *Graph) fromJSON(in *jsonGraph) (map[string][]int, error) {
	order := make([]int, len(in.Nodes))
	nodes := make([]Node, len(in.Nodes))
	for i := range in.Nodes {
		n, err := readNode(&in.Nodes[i], in.Metadata.SchemaVersion)
		if err != nil {
			return nil, fmt.Errorf("attribution: node %d, %q: %w", i, in.Nodes[i].ID, err)
		}
		nodes[i], order[i] = n, i
	}
	lastLayer(nodes, in.Metadata.Layers)
	slices.SortStableFunc(order, func(a, b int) int { return compareNodes(&nodes[a], &nodes[b]) })
	place := make([]int, len(nodes))
	g.Nodes = make([]Node, len(nodes))
	for to, from := range order {
		place[from], g.Nodes[to] = to, nodes[from]
		if to > 0 && g.Nodes[to-1].ID == g.Nodes[to].ID {
			return nil, fmt.Errorf("attribution: nodes %q and %q are both %v; keep one", in.Nodes[order[to-1]].ID, in.Nodes[from].ID, g.Nodes[to].ID)
		}
	}
	g.fillFromNodes(in.Metadata.Ours == nil && namesTokens(in.Nodes))
	names := map[string][]int{}
	for i := range in.Nodes {
		names[in.Nodes[i].ID] = append(names[in.Nodes[i].ID], place[i])
	}
	g.Weights = NewMatrix(len(nodes), g.Settings.DType == "f64")
	return names, g.readLinks(in.Links, names)
}

// compareNodes is the storage order: logits by probability, all else by identity.
func compareNodes(a, b *Node) int {
	if a.Kind == Logit && b.Kind == Logit {
		if c := cmp.Compare(b.Prob, a.Prob); c != 0 {
			return c
		}
	}
	return compareIDs(a.ID, b.ID)
}

// fillFromNodes derives what files of other programs do not say; token ids only where
// the nodes have them.
func (g *Graph) fillFromNodes(tokens bool) {
	if g.Settings.Layers == 0 {
		for i := range g.Nodes {
			switch n := &g.Nodes[i]; n.Kind {
			case Feature, Error:
				g.Settings.Layers = max(g.Settings.Layers, n.Layer+1)
			case Logit:
				g.Settings.Layers = max(g.Settings.Layers, n.Layer)
			}
		}
	}
	if tokens && len(g.IDs) == 0 && len(g.Tokens) > 0 && g.Count(Token) == len(g.Tokens) {
		for i := range g.Nodes {
			if g.Nodes[i].Kind == Token {
				g.IDs = append(g.IDs, int32(g.Nodes[i].Index))
			}
		}
	}
	if g.Settings.DType == "" {
		g.Settings.DType = "f32"
	}
	if g.Settings.DType == "f64" {
		return
	}
	for i := range g.Nodes { // the text is the shortest that gives this float32
		n := &g.Nodes[i]
		for _, v := range []*float64{&n.Activation, &n.Preactivation, &n.Prob, &n.Cumulative} {
			*v = float64(float32(*v))
		}
	}
}

// readNode turns one JSON node into ours.
func readNode(in *jsonNode, schema int) (Node, error) {
	kind, known := kindOf[in.Type]
	if !known {
		return Node{}, fmt.Errorf("feature_type %q is unknown; the types are %s", in.Type, strings.Join(slices.Sorted(maps.Keys(kindOf)), ", "))
	}
	n := Node{ID: ID{Kind: kind, Pos: in.Pos}, Prob: in.Prob.v}
	if in.Activation != nil {
		n.Activation = in.Activation.v
	}
	if in.Influence != nil {
		n.Cumulative = in.Influence.v
	}
	if in.Preactivation != nil {
		n.Preactivation = in.Preactivation.v
	}
	layer, err := readLayer(in.Layer, kind)
	if err != nil {
		return Node{}, err
	}
	feature := int64(-1)
	if in.Feature != nil {
		if feature, err = strconv.ParseInt(string(*in.Feature), 10, 64); err != nil {
			return Node{}, fmt.Errorf("feature %s is no integer of 64 bits; correct the file", *in.Feature)
		}
	}
	switch kind {
	case Feature:
		n.Layer, n.Index, n.Label = layer, featureIndex(in, layer, feature, schema), in.Clerp
	case Error:
		n.Layer = layer
	case Token:
		n.Index, _ = middle(in.ID, "E", in.Pos)
	case Logit:
		if in.Feature == nil {
			rank, ok := nameNumbers(in.ID, "output", 2)
			if !ok {
				return Node{}, fmt.Errorf("a logit needs its token as feature; it has none")
			}
			feature = int64(rank)
		}
		n.Layer, n.Index, n.Label = max(layer-1, min(layer, 0)), int(feature), logitLabel(in.Clerp)
	case Bias:
		n.Layer = layer
	}
	return n, nil
}

// readLayer accepts "3", 3, "E" (0) and, for a logit, "-1".
func readLayer(raw json.RawMessage, kind Kind) (int, error) {
	text := strings.Trim(string(raw), `"`)
	switch {
	case text == "E":
		return 0, nil
	case text == "-1" && kind == Logit:
		return -1, nil
	}
	layer, err := strconv.ParseInt(text, 10, 32)
	if err != nil || layer < 0 {
		return 0, fmt.Errorf("layer %s is no layer number and not \"E\"; write one of these", raw)
	}
	return int(layer), nil
}

// middle reads the number between a known layer and a known position in a name.
func middle(name, layer string, pos int) (int, bool) {
	rest, ok := strings.CutPrefix(name, layer+"_")
	if !ok {
		return 0, false
	}
	rest, ok = strings.CutSuffix(rest, "_"+strconv.Itoa(pos))
	n, err := strconv.ParseInt(rest, 10, 64)
	return int(n), ok && err == nil && n >= 0
}

// featureIndex finds the index of a feature: in its name, else in its Cantor
// number (schema 1), else the number itself.
func featureIndex(in *jsonNode, layer int, feature int64, schema int) int {
	if index, ok := middle(in.ID, strconv.Itoa(layer), in.Pos); ok {
		return index
	}
	if index, ok := nameNumbers(in.ID, "intermediate", 3); ok {
		return index
	}
	if feature >= 0 && feature < 1<<52 && schema >= 1 {
		if l, index := uncantor(feature); l == layer {
			return index
		}
	}
	return int(feature)
}

func (g *Graph) readLinks(links []jsonLink, names map[string][]int) error {
	seen := make(map[[2]int]bool, len(links))
	last := [2]int{-1, -1} // target and source of the link before
	for i := range links {
		l := &links[i]
		source, target := names[l.Source], names[l.Target]
		if len(source) == 0 || len(target) == 0 {
			unknown := l.Target
			if len(source) == 0 {
				unknown = l.Source
			}
			return fmt.Errorf("attribution: link %d from %q to %q: there is no node %q; every link needs both its nodes", i, l.Source, l.Target, unknown)
		}
		t, err := g.resolveTarget(l, target)
		if err != nil {
			return err
		}
		next := -1
		if i+1 < len(links) && links[i+1].Target == l.Target {
			if after := names[links[i+1].Source]; len(after) == 1 {
				next = after[0]
			}
		}
		before := -1
		if last[0] == t {
			before = last[1]
		}
		s, err := g.resolveSource(l, source, t, before, next)
		if err != nil {
			return err
		}
		if seen[[2]int{t, s}] {
			return fmt.Errorf("attribution: link %d from %q to %q is there twice; keep one", i, l.Source, l.Target)
		}
		seen[[2]int{t, s}], last = true, [2]int{t, s}
		g.Weights.Set(t, s, l.Weight.v)
	}
	return nil
}

// resolveTarget picks the one node of a name that can have inputs.
func (g *Graph) resolveTarget(l *jsonLink, nodes []int) (int, error) {
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	var can []int
	for _, n := range nodes {
		if g.Nodes[n].Kind.IsTarget() {
			can = append(can, n)
		}
	}
	if len(can) != 1 {
		return 0, g.ambiguous(l, l.Target, nodes)
	}
	return can[0], nil
}

// resolveSource picks the one node of a name that can feed the target. Where
// several can, links are taken to be listed by ascending source, as
// circuit-tracer lists them: between the sources of the links before and after.
func (g *Graph) resolveSource(l *jsonLink, nodes []int, target, before, after int) (int, error) {
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	pick := func(possible func(n int) bool) (int, bool) {
		found, count := 0, 0
		for _, n := range nodes {
			if possible(n) {
				found, count = n, count+1
			}
		}
		return found, count == 1
	}
	causal := func(n int) bool {
		return g.Nodes[n].Kind != Logit && checkEdge(g.Nodes[n].ID, g.Nodes[target].ID) == nil
	}
	if n, one := pick(causal); one {
		return n, nil
	}
	if n, one := pick(func(n int) bool { return causal(n) && n > before && (after < 0 || n < after) }); one {
		return n, nil
	}
	return 0, g.ambiguous(l, l.Source, nodes)
}

func (g *Graph) ambiguous(l *jsonLink, name string, nodes []int) error {
	return fmt.Errorf("attribution: link from %q to %q: the name %q belongs to both %v and %v; write the graph again with unique names",
		l.Source, l.Target, name, g.Nodes[nodes[0]].ID, g.Nodes[nodes[1]].ID)
}

// viewFrom reads pins, groups and labels; names that are no longer there are
// left out.
func (g *Graph) viewFrom(in *jsonGraph, names map[string][]int) View {
	v := View{
		Slug: in.Metadata.Slug, Scan: in.Metadata.Scan, Transcoders: in.Metadata.Transcoders,
		LinkType: in.QParams.LinkType, Positions: in.QParams.Positions,
	}
	for _, name := range in.QParams.Pinned {
		if n := names[name]; len(n) > 0 {
			v.Pinned = append(v.Pinned, g.Nodes[n[0]].ID)
		}
	}
	if n := names[in.QParams.Clicked]; len(n) > 0 {
		v.Clicked, v.HasClicked = g.Nodes[n[0]].ID, true
	}
	for _, row := range in.QParams.Supernodes {
		var group Group
		for i, cell := range row {
			name, _ := cell.(string)
			if i == 0 {
				group.Label = name
			} else if n := names[name]; len(n) > 0 {
				group.Nodes = append(group.Nodes, g.Nodes[n[0]].ID)
			}
		}
		if len(group.Nodes) > 0 {
			v.Groups = append(v.Groups, group)
		}
	}
	var clerps [][2]string
	if json.Unmarshal([]byte(in.QParams.Clerps), &clerps) == nil {
		for _, c := range clerps {
			if n := names[c[0]]; len(n) > 0 && g.Nodes[n[0]].Kind == Feature {
				g.Nodes[n[0]].Label = c[1]
			}
		}
	}
	return v
}
