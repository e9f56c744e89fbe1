package sugarme_test

import (
	"fmt"

	library "github.com/sugarme/tokenizer"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer/sugarme"
)

func ExampleGPT2() {
	tk := sugarme.GPT2()
	tk.WithPadding(&library.PaddingParams{Strategy: *library.NewPaddingStrategy(library.WithFixed(6)),
		Direction: library.Right, PadId: 50256, PadToken: tokenizer.EndOfText})
	e, err := tk.EncodeSingle("Hello,\n\nworld")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Ids, e.AttentionMask)
	fmt.Println(e.Offsets)
	// Output:
	// [15496 11 198 198 6894 50256] [1 1 1 1 1 0]
	// [[0 5] [5 6] [6 7] [7 8] [8 13] [0 0]]
}
