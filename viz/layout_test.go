package viz

import (
	"math"
	"testing"

	at "github.com/etredal/cross-layer-transcoder/clt/attribution"
)

func viewOf(t testing.TB, g *at.Graph, o GraphOptions) *view {
	t.Helper()
	v, err := newView(g, o.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	v.layout()
	return v
}

var made map[string]*view

// graphs are laid-out views of several sizes, made once.
func graphs(t *testing.T) map[string]*view {
	t.Helper()
	if made != nil {
		return made
	}
	out := map[string]*view{}
	for name, c := range map[string]struct {
		layers     int
		perCell    float64
		node, edge float64
		o          GraphOptions
	}{
		"small":  {12, 1.5, 0.6, 0.9, GraphOptions{}},
		"medium": {12, 1.5, 0.8, 0.98, GraphOptions{}},
		"four":   {4, 2, 0.8, 0.98, GraphOptions{}},
		"large":  {12, 8, 0.8, 0.98, GraphOptions{}},
		"static": {12, 8, 0.8, 0.98, GraphOptions{Static: true}},
		"all":    {12, 4, 0.9, 0.99, GraphOptions{All: true, Inputs: true, MaxNodes: 2000}},
		"narrow": {12, 3, 0.8, 0.98, GraphOptions{Width: 500}},
	} {
		full := planted(5, c.layers, c.perCell)
		c.o.Full = full
		out[name] = viewOf(t, pruned(t, full, c.node, c.edge), c.o)
	}
	made = out
	return out
}

func TestNodesStayInTheirCells(t *testing.T) {
	for name, v := range graphs(t) {
		for i, d := range v.nodes {
			if d.Kind != at.Feature && d.Kind != at.Error && d.Kind != gathered {
				continue
			}
			c, r := v.cols[d.Pos], v.rows[d.Layer+1]
			if d.x-d.r < c.x || d.x+d.r > c.x+c.w || d.y-d.r < r.y-r.h/2 || d.y+d.r > r.y+r.h/2 {
				t.Fatalf("%s: %s at (%.1f, %.1f) r %.1f leaves its cell x %.1f–%.1f, y %.1f–%.1f", name, v.describe(i), d.x, d.y, d.r, c.x, c.x+c.w, r.y-r.h/2, r.y+r.h/2)
			}
		}
	}
}

func TestGlyphsKeepTwoPixels(t *testing.T) {
	for name, v := range graphs(t) {
		for i := range v.nodes {
			for j := range i {
				a, b := &v.nodes[i], &v.nodes[j]
				gap := math.Hypot(a.x-b.x, a.y-b.y) - a.r - b.r
				if a.w > 0 || b.w > 0 { // chips are boxes
					wa, wb := math.Max(a.w/2, a.r), math.Max(b.w/2, b.r)
					gap = math.Max(math.Abs(a.x-b.x)-wa-wb, math.Abs(a.y-b.y)-a.r-b.r)
				}
				if gap < 1.99 {
					t.Fatalf("%s: %s and %s are %.2f px apart", name, v.describe(i), v.describe(j), gap)
				}
			}
		}
	}
}

func TestEdgesGoUp(t *testing.T) {
	for name, v := range graphs(t) {
		for _, l := range v.links {
			a, b := &v.nodes[l.s], &v.nodes[l.t]
			if a.Kind == gathered || b.Kind == gathered {
				continue // a group may hold both ends' neighbours
			}
			if a.y-a.r <= b.y+b.r {
				t.Fatalf("%s: edge from %s to %s does not go up", name, v.describe(l.s), v.describe(l.t))
			}
		}
	}
}

func TestLabelsDoNotCollide(t *testing.T) {
	for name, v := range graphs(t) {
		var boxes []box
		labels := 0
		for i := range v.nodes {
			d := &v.nodes[i]
			if !v.byDefault(i) {
				continue
			}
			if d.labelled {
				labels++
				w := textWidth(cut(d.text, 22), labelSize)
				x := map[string]float64{"start": d.lx, "end": d.lx - w, "middle": d.lx - w/2}[d.lanchor]
				b := box{x, d.ly - 8, x + w, d.ly + 1}
				if anyHit(boxes, b) || b.x0 < 0 || b.x1 > v.W {
					t.Errorf("%s: label of %s has no room", name, v.describe(i))
				}
				boxes = append(boxes, b)
			}
		}
		if labels < 5 {
			t.Errorf("%s: only %d labels found a place", name, labels)
		}
	}
}

func TestEverythingIsCounted(t *testing.T) {
	for name, v := range graphs(t) {
		n, hidden := v.dense+v.first, 0
		for i, d := range v.nodes {
			n += d.members
			if !v.byDefault(i) {
				hidden++
			}
		}
		if n != len(v.g.Nodes) {
			t.Errorf("%s: %d nodes drawn or left out, graph has %d", name, n, len(v.g.Nodes))
		}
		if got := v.shownNodes + hidden + v.dense + v.first; got != len(v.g.Nodes) {
			t.Errorf("%s: shown %d + hidden %d + left out %d is not %d", name, v.shownNodes, hidden, v.dense+v.first, len(v.g.Nodes))
		}
		if v.shownInfl <= 0 || v.shownInfl > 1+1e-9 {
			t.Errorf("%s: shows %v of influence", name, v.shownInfl)
		}
	}
}

// TestManyTargets: 30 targets fit in one row, the best with their text.
func TestManyTargets(t *testing.T) {
	g := planted(5, 4, 1)
	n := len(g.Nodes)
	for k := range 25 {
		g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Logit, Layer: 4, Pos: 10, Index: 8000 + k}, Prob: 0.001, Label: " candidate"})
	}
	w := at.NewMatrix(len(g.Nodes), false)
	for i := range n {
		for j := range n {
			w.Set(i, j, g.Weight(i, j))
		}
	}
	for i := n; i < len(g.Nodes); i++ {
		w.Set(i, 0, 1)
	}
	g.Weights = w
	v := viewOf(t, g, GraphOptions{})
	prev := map[int]box{}
	for i, d := range v.nodes {
		if d.Kind != at.Logit {
			continue
		}
		b := box{d.x - d.w/2, 0, d.x + d.w/2, 1}
		if b.x0 < 0 || b.x1 > v.W {
			t.Errorf("target %d is outside the picture: %.0f to %.0f of %.0f", i, b.x0, b.x1, v.W)
		}
		for j, o := range prev {
			if b.hits(o) {
				t.Errorf("targets %d and %d overlap", i, j)
			}
		}
		prev[i] = b
	}
	if v.nodes[v.target].text == "" {
		t.Error("the top target lost its text")
	}
}

func BenchmarkGraph(b *testing.B) {
	full := planted(1, 12, 1.5)
	c := at.DefaultPruneConfig()
	g, err := full.Prune(c)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Graph(g, GraphOptions{Full: full}); err != nil {
			b.Fatal(err)
		}
	}
}
