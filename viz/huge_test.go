package viz

import (
	"strings"
	"testing"
	"time"

	at "github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// TestHugeTokens: a token of a million characters costs little time and stays
// out of the page, in every component.
func TestHugeTokens(t *testing.T) {
	for name, huge := range map[string]string{"letters": strings.Repeat("x", 1_000_000), "marks": "e" + strings.Repeat("\u0301", 500_000), "bytes": strings.Repeat("\xff", 1_000_000), "blanks": strings.Repeat(" ", 1_000_000)} {
		if testing.Short() && name != "letters" {
			continue
		}
		begin := time.Now()
		outs := componentsOf(huge, []float64{1, -2, 3})
		graphs, err := graphsOf(huge)
		if err != nil {
			t.Fatal(err)
		}
		g := tiny()
		g.Tokens[0], g.Nodes[5].Label, g.Nodes[0].Label, g.Prompt = huge, huge, huge, huge
		page, err := GraphPage(g, PageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range append(append(outs, graphs...), Output{Kind: "page", HTML: string(page)}) {
			if n := max(len(o.HTML), len(o.Markdown), len(o.Plain)); n > 256<<10 {
				t.Errorf("%s: %s has %d bytes", name, o.Kind, n)
			}
		}
		t.Log(name, time.Since(begin))
	}
}

// TestHugeGraph: a graph of ten thousand nodes is drawn, with the rest of each
// cell gathered, in a notebook's budget.
func TestHugeGraph(t *testing.T) {
	testenv.Slow(t)
	full := wide(10_000, 8)
	begin := time.Now()
	o, err := Graph(full, GraphOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d nodes: %v, %d KiB", len(full.Nodes), time.Since(begin), len(o.HTML)>>10)
	if len(o.HTML) > 512<<10 {
		t.Errorf("%d KiB", len(o.HTML)>>10)
	}
	if text := checkHTML(t, "graph", o.HTML); !strings.Contains(text, "To see less, prune: -node 0.5 keeps ") {
		t.Error("no word on pruning")
	}
}

// wide is a graph of n nodes in which each feature has a few inputs from the
// layer below.
func wide(n, inputs int) *at.Graph {
	const layers = 12
	g := &at.Graph{Tokens: prompt, Weights: at.NewMatrix(n, false)}
	g.Settings.Layers = layers
	for p := range prompt {
		g.Nodes = append(g.Nodes, at.Node{ID: at.ID{Kind: at.Token, Pos: p, Index: p}})
	}
	tokens := len(g.Nodes)
	features := n - tokens - 1
	var list []at.Node
	for i := range features {
		list = append(list, at.Node{ID: at.ID{Kind: at.Feature, Layer: i * layers / features, Pos: i % len(prompt), Index: i}, Activation: 1 + float64(i%7), Preactivation: 1})
	}
	tail := g.Nodes
	g.Nodes = append(append(append([]at.Node(nil), list...), tail...), at.Node{ID: at.ID{Kind: at.Logit, Layer: layers, Pos: len(prompt) - 1, Index: 1}, Prob: 0.7, Label: " Austin"})
	step := features / layers
	for i := range features {
		for k := range inputs {
			s := features + (i+k)%tokens
			if i >= 2*step {
				s = i - step - (i*7+k*131)%step
			}
			g.Weights.Set(i, s, float64(1+(i+k)%5)-2.5)
		}
	}
	for i := features - step; i < features; i++ {
		g.Weights.Set(n-1, i, float64(i%11)-3)
	}
	return g
}
