package gpt2_test

import (
	"fmt"
	"log"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/backend"
)

// One forward pass gives logits and any activation by name; a hook changes what
// the pass computes.
func Example() {
	b, _, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	m, err := gpt2.Load(b, "testdata/tiny2", gpt2.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	prompt := []int32{96, 3, 5, 7}
	c, err := m.RunWithCache(prompt, gpt2.AttnPattern.At(0), "blocks.3.hook_resid_post")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("likeliest next token:", m.TopPredictions(c, -1, 1)[0].ID)
	fmt.Println("pattern [head, query, key]:", c.Hooks["blocks.0.attn.hook_pattern"].Shape)

	// The same pass with the last MLP switched off.
	off := gpt2.Program{Key: "no last MLP", Hook: func(_ *graph.Node, _ []*graph.Node) gpt2.Hook {
		return func(name gpt2.HookName, x *graph.Node) *graph.Node {
			if name == gpt2.MLPOut.At(3) {
				return graph.ZerosLike(x)
			}
			return x
		}
	}}
	c, err = m.RunProgram(off, prompt)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("without the last MLP:", m.TopPredictions(c, -1, 1)[0].ID)
	// Output:
	// likeliest next token: 83
	// pattern [head, query, key]: [3 4 4]
	// without the last MLP: 83
}
