package pocket

import (
	"io/fs"
	"testing"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

func openPocket(t *testing.T) *gpt2.Model {
	t.Helper()
	m, err := Open(testbackend.Open(t, "go"), gpt2.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestEmbeddedModelFitsItsWorld: the shipped tokenizer is the one that the world
// gives, and every word is one token.
func TestEmbeddedModelFitsItsWorld(t *testing.T) {
	m, w := openPocket(t), world.New(WorldSeed)
	for _, word := range w.Words() {
		if ids := m.Tokenizer.Encode(word); len(ids) != 1 {
			t.Fatalf("%q is %d tokens; train the model again for this world (make pocket)", word, len(ids))
		}
	}
	if m.Config.BOS != m.Tokenizer.EOT() || m.Config.DVocab != m.Tokenizer.Size() {
		t.Errorf("config says bos %d of %d, the tokenizer %d of %d", m.Config.BOS, m.Config.DVocab, m.Tokenizer.EOT(), m.Tokenizer.Size())
	}
}

// TestDemonstrationPrompts: every prompt that notebooks show is answered right.
func TestDemonstrationPrompts(t *testing.T) {
	m := openPocket(t)
	for _, p := range world.New(WorldSeed).Prompts() {
		ids, err := m.Encode(p.Text, true)
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.RunWithCache(ids)
		if err != nil {
			t.Fatal(err)
		}
		if top := m.TopPredictions(c, -1, 1)[0]; p.Behaviour != "greater-than" && top.Text != p.Answer {
			t.Errorf("%s: %q is continued with %q, want %q", p.Behaviour, p.Text, top.Text, p.Answer)
		}
	}
}

// TestAccuracy asks every question; what was seen in training must be known.
func TestAccuracy(t *testing.T) {
	testenv.Slow(t)
	list, err := Evaluate(openPocket(t), world.New(WorldSeed))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		t.Logf("%-20s seen %.3f of %d, held out %.3f of %d", a.Behaviour, a.Seen, a.SeenN, a.HeldOut, a.HeldOutN)
		if a.Seen < 0.97 {
			t.Errorf("%s: %.3f of the seen questions are answered right, want 0.97", a.Behaviour, a.Seen)
		}
	}
}

// TestShippedSize keeps what is embedded within its budget.
func TestShippedSize(t *testing.T) {
	total := int64(0)
	err := fs.WalkDir(data, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		total += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if total > 16<<20 {
		t.Errorf("the embedded files are %d bytes, the budget is 16 MiB", total)
	}
	for name := range transcoders {
		if _, ok := CLT(name); !ok {
			t.Errorf("transcoder %s is not there", name)
		}
	}
}
