package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// small is a tokenizer with few merges.
func small(t *testing.T) *Tokenizer {
	t.Helper()
	tok, err := Train(slices.Values(corpus(100)), TrainConfig{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// tokenizerJSON is small in the layout of tokenizer.json, with settings changed by edit.
func tokenizerJSON(t *testing.T, tok *Tokenizer, pairs bool, edit func(top, model map[string]any)) []byte {
	t.Helper()
	vocabJSON, mergesTxt := tok.Files()
	var merges []any
	for _, line := range strings.Split(strings.TrimSpace(string(mergesTxt)), "\n")[1:] {
		if pairs {
			merges = append(merges, strings.Split(line, " "))
		} else {
			merges = append(merges, line)
		}
	}
	model := map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": "", "end_of_word_suffix": "",
		"vocab": json.RawMessage(vocabJSON), "merges": merges}
	top := map[string]any{
		"version":       "1.0",
		"added_tokens":  []any{map[string]any{"id": tok.EOT(), "content": EndOfText, "special": true, "normalized": true}},
		"normalizer":    nil,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
		"model":         model,
	}
	if edit != nil {
		edit(top, model)
	}
	data, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// same fails unless two tokenizers have the same files and encode alike.
func same(t *testing.T, got, want *Tokenizer) {
	t.Helper()
	gv, gm := got.Files()
	wv, wm := want.Files()
	if string(gv) != string(wv) || string(gm) != string(wm) || got.EOT() != want.EOT() {
		t.Fatalf("%v, want %v", got, want)
	}
	for _, text := range append(corpus(20), alphabet...) {
		if a, b := got.EncodeSpecial(text), want.EncodeSpecial(text); !slices.Equal(a, b) {
			t.Fatalf("%q: %v, want %v", text, a, b)
		}
	}
}

func TestFromTokenizerJSON(t *testing.T) {
	tok := small(t)
	for _, pairs := range []bool{false, true} {
		got, err := FromTokenizerJSON(tokenizerJSON(t, tok, pairs, nil))
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, tok)
	}
	// A token added beyond the vocabulary.
	got, err := FromTokenizerJSON(tokenizerJSON(t, tok, true, func(top, _ map[string]any) {
		top["added_tokens"] = append(top["added_tokens"].([]any), map[string]any{"id": tok.Size(), "content": "<|user|>"})
	}))
	if err != nil {
		t.Fatal(err)
	}
	ids := got.EncodeSpecial("Mira<|user|><|endoftext|>")
	if n := len(ids); ids[n-2] != int32(tok.Size()) || ids[n-1] != tok.EOT() || string(got.Decode(ids)) != "Mira<|user|><|endoftext|>" {
		t.Fatalf("ids %v", ids)
	}
}

func TestFromTokenizerJSONRefusals(t *testing.T) {
	tok := small(t)
	set := func(key string, value any) func(top, model map[string]any) {
		return func(top, model map[string]any) {
			if _, ok := top[key]; ok {
				top[key] = value
			} else {
				model[key] = value
			}
		}
	}
	for want, edit := range map[string]func(top, model map[string]any){
		"WordLevel":                 func(_, m map[string]any) { m["type"] = "WordLevel" },
		"a normalizer":              set("normalizer", map[string]any{"type": "NFC"}),
		"no pre_tokenizer":          set("pre_tokenizer", nil),
		"another pre_tokenizer":     set("pre_tokenizer", map[string]any{"type": "Sequence"}),
		"add_prefix_space":          set("pre_tokenizer", map[string]any{"type": "ByteLevel", "add_prefix_space": true}),
		"use_regex":                 set("pre_tokenizer", map[string]any{"type": "ByteLevel", "use_regex": false}),
		"dropout":                   set("dropout", 0.1),
		"continuing_subword_prefix": set("continuing_subword_prefix", "##"),
		"end_of_word_suffix":        set("end_of_word_suffix", "</w>"),
		"byte_fallback":             set("byte_fallback", true),
		"ignore_merges":             set("ignore_merges", true),
		"strips spaces":             set("added_tokens", []any{map[string]any{"id": tok.EOT(), "content": EndOfText, "lstrip": true}}),
		"without a gap":             set("added_tokens", []any{map[string]any{"id": 5000, "content": "<x>"}}),
		"has the ids":               set("added_tokens", []any{map[string]any{"id": 3, "content": EndOfText}}),
		"want two tokens":           set("merges", []any{"a b c"}),
		"model.merges":              set("merges", 3),
		"vocabulary lacks":          set("merges", []any{"Q Q"}),
	} {
		data := tokenizerJSON(t, tok, false, edit)
		if _, err := FromTokenizerJSON(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	const level = `{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","merges":[],"vocab":`
	for text, want := range map[string]string{
		"": "fetch it again", "[]": "fetch it again", "{}": "no pre_tokenizer", "nonsense": "fetch it again",
		level + `3}}`:              "not a JSON object",
		level + `{"a":0}}}`:        "byte 0x00 has no token",
		level + `{"a":0,"a":1}}}`:  `"a" occurs twice`,
		level + `{"a":0,"b":1.5}}`: "fetch it again",
	} {
		if _, err := FromTokenizerJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestFromFilesRefusals(t *testing.T) {
	vocabBytes, mergesBytes := small(t).Files()
	vocab, merges := string(vocabBytes), string(mergesBytes)
	replace := func(s, old, new string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(s, old, new, 1)
	}
	for want, files := range map[string][2]string{
		"vocab.json":        {"", merges},
		"not a JSON object": {"[]", merges},
		"cut off":           {vocab[:50], merges},
		"occurs twice":      {replace(vocab, `"#": 2`, `"!": 2`), merges},
		`no token has id 2, while "#" has id 2000 of`: {replace(vocab, `"#": 2`, `"#": 2000`), merges},
		`aaaaaaaa…" with "b", needs`:                  {vocab, merges + strings.Repeat("a", 1<<20) + " b\n"},
		`aaaaaaaa…" is not two`:                       {vocab, merges + strings.Repeat("a", 1<<20) + "\n"},
		"the same id 1":                               {replace(vocab, `"#": 2`, `"#": 1`), merges},
		`token "#"`:                                   {replace(vocab, `"#": 2`, `"#": "2"`), merges},
		"is not two tokens":                           {vocab, merges + "a b c\n"},
		"listed twice":                                {vocab, merges + strings.Split(merges, "\n")[1] + "\n"},
		"vocabulary lacks":                            {vocab, merges + "q q\n"},
		"byte 0x23 has no token":                      {replace(vocab, `"#": 2`, `"<#>": 2`), merges},
	} {
		if _, err := FromFiles([]byte(files[0]), []byte(files[1])); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	lines := strings.Split(merges, "\n")
	for _, text := range []string{strings.ReplaceAll(merges, "\n", "\r\n"), "\ufeff" + merges, merges + "\n#version: 0.2\n",
		strings.Join(lines[1:], "\n"), strings.TrimRight(merges, "\n")} {
		other, err := FromFiles(vocabBytes, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		same(t, other, small(t))
	}
}

func TestLoad(t *testing.T) {
	tok, dir := small(t), t.TempDir()
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("empty folder: error %v", err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, tok)
	for old, name := range map[string]string{"vocab.json": "encoder.json", "merges.txt": "vocab.bpe"} {
		if err := os.Rename(filepath.Join(dir, old), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = Load(dir); err != nil {
		t.Fatal(err)
	}
	same(t, got, tok)
	os.Remove(filepath.Join(dir, "vocab.bpe"))
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "belong together") {
		t.Errorf("half of the files: error %v", err)
	}
	os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizerJSON(t, tok, true, nil), 0o644)
	if got, err = Load(dir); err != nil {
		t.Fatal(err)
	}
	same(t, got, tok)
	os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("{"), 0o644)
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "tokenizer.json")) {
		t.Errorf("broken tokenizer.json: error %v", err)
	}
}

func TestSpecialNamesSurviveFiles(t *testing.T) {
	special := []string{"<a b>", "<a b>\n\"\\\u00e9\U0001F600", "<|x|>"}
	tok, err := Train(slices.Values(corpus(50)), TrainConfig{VocabSize: 280, Special: special})
	if err != nil {
		t.Fatal(err)
	}
	again, err := FromFiles(tok.Files())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Tokenizer{tok, again} {
		for i, name := range special {
			if ids := s.EncodeSpecial("x" + name + "y"); len(ids) != 3 || int(ids[1]) != s.Size()-3+i {
				t.Errorf("%q: %v of %d", name, ids, s.Size())
			}
			if id, ok := s.ID(name); !ok || s.Text(id) != name {
				t.Errorf("%q has id %d, %v", name, id, ok)
			}
		}
	}
}

func TestIDsOutsideTheVocabulary(t *testing.T) {
	tok := GPT2()
	if got := string(tok.Decode([]int32{-1, 64, 50257})); got != "\uFFFDa\uFFFD" {
		t.Errorf("%q", got)
	}
	if _, ok := tok.ID("no such token at all"); ok {
		t.Error("found a token that does not exist")
	}
	if id, ok := tok.ID(" Paris"); !ok || id != 6342 {
		t.Errorf("Paris is %d, %v", id, ok)
	}
}

func TestManyGoroutines(t *testing.T) {
	tok := small(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for _, text := range corpus(300) {
				if got := string(tok.Decode(tok.Encode(text))); got != text {
					t.Errorf("%q came back as %q", text, got)
				}
			}
		})
	}
	group.Wait()
}

func TestSpecialTokensInAText(t *testing.T) {
	special := []string{"<a>", "<a><b>", "b><"}
	tok, err := Train(slices.Values(corpus(50)), TrainConfig{VocabSize: 270, Special: special})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"<a><b>":        {"<a><b>"},
		"<a><a><b><a>":  {"<a>", "<a><b>", "<a>"},
		"<a>b><b>x<a":   {"<a>", "b><", "b", ">", "x", "<", "a"},
		"x<a><b><":      {"x", "<a><b>", "<"},
		"<<a><<a><b>>b": {"<", "<a>", "<", "<a><b>", ">", "b"},
	} {
		var got []string
		for _, id := range tok.EncodeSpecial(text) {
			got = append(got, tok.Text(id))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	tok, err := Train(slices.Values(corpus(5)), TrainConfig{VocabSize: 262})
	if err != nil {
		f.Fatal(err)
	}
	vocab, merges := tok.Files()
	f.Add(vocab, merges)
	f.Add([]byte(`{"model":{"vocab":{},"merges":[["a","b"]]},"pre_tokenizer":{"type":"ByteLevel"}}`), []byte("#version: 0.2\na b\n"))
	f.Fuzz(func(t *testing.T, vocab, merges []byte) {
		for _, load := range []func() (*Tokenizer, error){
			func() (*Tokenizer, error) { return FromFiles(vocab, merges) },
			func() (*Tokenizer, error) { return FromTokenizerJSON(vocab) },
		} {
			tok, err := load()
			if err != nil {
				if tok != nil || err.Error() == "" {
					t.Fatal("an error and a tokenizer")
				}
				continue
			}
			if text := string(merges); string(tok.Decode(tok.Encode(text))) != text {
				t.Fatalf("%q does not come back", text)
			}
		}
	})
}
