package tokenizer_test

import (
	"fmt"
	"slices"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

func Example() {
	t := tokenizer.GPT2()
	ids := t.Encode("Data visualization empowers users to")
	fmt.Println(ids)
	for _, id := range ids {
		fmt.Printf("%q ", t.Text(id))
	}
	// Output:
	// [6601 32704 795 30132 2985 284]
	// "Data" " visualization" " em" "powers" " users" " to"
}

func ExampleTokenizer_EncodeOffsets() {
	text := "naïve 🥊"
	ids, offsets := tokenizer.GPT2().EncodeOffsets(text, false)
	for i, id := range ids {
		fmt.Printf("%d %v %q\n", id, offsets[i], text[offsets[i][0]:offsets[i][1]])
	}
	// Output:
	// 2616 [0 2] "na"
	// 38776 [2 6] "ïve"
	// 12520 [6 9] " \xf0\x9f"
	// 98 [9 10] "\xa5"
	// 232 [10 11] "\x8a"
}

func ExampleTrain() {
	corpus := slices.Values([]string{"See the cat sit.", "See the cat run.", "See the dog run."})
	t, err := tokenizer.Train(corpus, tokenizer.TrainConfig{VocabSize: 280, Require: []string{" elephant"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range t.Encode("See the elephant run.") {
		fmt.Printf("%q ", t.Text(id))
	}
	// Output: "See" " the" " elephant" " run" "."
}
