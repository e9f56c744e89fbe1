package sugarme

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sugarme/tokenizer/model/bpe"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

// theirBPE is the library's own model of GPT-2.
func theirBPE(t *testing.T) *bpe.BPE {
	t.Helper()
	dir := t.TempDir()
	vocab, merges := tokenizer.GPT2().Files()
	v, m := filepath.Join(dir, "vocab.json"), filepath.Join(dir, "merges.txt")
	for name, data := range map[string][]byte{v: vocab, m: merges} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	model, err := bpe.NewBpeFromFiles(v, m)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// Merges of equal rank must be applied from left to right.
func TestRepeatedCharacters(t *testing.T) {
	theirs, ours := own(), GPT2()
	theirs.WithModel(theirBPE(t))
	texts := []string{"=====", "-------", "aaaaaaa", "....."}
	wrong := 0
	for _, text := range texts {
		ids := want(text)
		if got := encode(t, ours, text).Ids; !slices.Equal(got, ids) {
			t.Errorf("%q: ours gives %v, want %v", text, got, ids)
		}
		if !slices.Equal(encode(t, theirs, text).Ids, ids) {
			wrong++
		}
	}
	if wrong == 0 {
		t.Errorf("the library alone gets all of %q right now; take the fault off the list", texts)
	}
}

// Training the library's way gives other merges each time; ours the same.
func TestTraining(t *testing.T) {
	words := map[string]int{}
	for i, w := range []string{"low", "lower", "lowest", "new", "newer", "newest", "wide", "wider", "widest", "slow", "slower"} {
		words[w] = 3 + i%2
	}
	vocab := func() string {
		tr := bpe.NewBpeTrainer(0, 60)
		tr.ShowProgress = false
		m, _ := tr.Train(words)
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "merges.txt"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	first, same := vocab(), true
	for range 20 {
		same = same && vocab() == first
	}
	if same {
		t.Error("the library alone trains the same merges each time now; take the fault off the list")
	}
}
