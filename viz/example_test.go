package viz_test

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// A feature's activation on every token, as coloured text; Plain is what a
// terminal shows.
func ExampleTokens() {
	out := viz.Tokens([]string{"The", " Eiffel", " Tower"}, []viz.Row{{Name: "L3/f17", Values: []float64{0, 0.5, 2.25}}})
	fmt.Println(out.Plain)
	// Output:
	// The Eiffel Tower
	// L3/f17
	// position  token      L3/f17
	// 2         " Tower"   2.25
	// 1         " Eiffel"  0.500
	// 0         "The"      0
}

// A graph of one token, one feature and one target, read aloud.
func ExampleGraph() {
	g := &attribution.Graph{
		Tokens: []string{" Dallas"},
		Nodes: []attribution.Node{
			{ID: attribution.ID{Kind: attribution.Feature, Layer: 0, Index: 17}, Activation: 1.5, Label: "Texas"},
			{ID: attribution.ID{Kind: attribution.Token, Index: 4}},
			{ID: attribution.ID{Kind: attribution.Logit, Layer: 1, Index: 9}, Prob: 0.8, Label: " Austin"},
		},
		Weights:  attribution.NewMatrix(3, true),
		Settings: attribution.Settings{Layers: 1, DType: "f64"},
	}
	g.Weights.Set(0, 1, 1.5) // the token turns the feature on
	g.Weights.Set(2, 0, 3)   // the feature raises the target
	g.Weights.Set(2, 1, -1)  // the token itself lowers it
	out, err := viz.Graph(g, viz.GraphOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Split(out.Plain, "\n")[1])
	// Output:
	// “ Austin” (80 %) gets 75 % from “Texas” (L0/f17 at “ Dallas”) and −25 % from the token “ Dallas” of its input. In all, 75 % comes from features, 25 % directly from the prompt, 0 % from errors. The strongest path from a token carries 75 %: the token “ Dallas” → “Texas” (L0/f17 at “ Dallas”) → “ Austin”.
}
