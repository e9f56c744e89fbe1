package world_test

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
)

// Ask the world what it knows, and what a model of it should know.
func Example() {
	w := world.New(1)
	fmt.Println("people in Japan:", w.Group("country", "Japan"))
	for _, p := range w.Prompts()[6:9] {
		fmt.Printf("%s:%s |%s\n", p.Behaviour, p.Text, p.Answer)
	}
	for text := range w.Texts(2, 1) {
		fmt.Println(strings.TrimSpace(strings.SplitAfter(text, " .")[0]))
	}
	// Output:
	// people in Japan: [Alice Andrew Karen Max]
	// two-hop: The capital of the home of Max is | Tokyo
	// two-hop-language: The language of the country where Max lives is | Japanese
	// successor: After 42 comes | 43
	// It is early , not late .
}
