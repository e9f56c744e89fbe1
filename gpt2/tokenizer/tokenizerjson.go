package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

// hfTokenizer is the part of Hugging Face's tokenizer.json that decides the result. What this package does not do is
// read so that it can be refused.
type hfTokenizer struct {
	AddedTokens []struct {
		ID      int32  `json:"id"`
		Content string `json:"content"`
		LStrip  bool   `json:"lstrip"`
		RStrip  bool   `json:"rstrip"`
		Single  bool   `json:"single_word"`
	} `json:"added_tokens"`
	Normalizer   any `json:"normalizer"`
	PreTokenizer *struct {
		Type           string `json:"type"`
		AddPrefixSpace bool   `json:"add_prefix_space"`
		UseRegex       *bool  `json:"use_regex"`
	} `json:"pre_tokenizer"`
	Model struct {
		Type         string          `json:"type"`
		Dropout      *float64        `json:"dropout"`
		Prefix       *string         `json:"continuing_subword_prefix"`
		Suffix       *string         `json:"end_of_word_suffix"`
		ByteFallback bool            `json:"byte_fallback"`
		IgnoreMerges bool            `json:"ignore_merges"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
	} `json:"model"`
}

// check names the first setting that would give other tokens than GPT-2's encoding.
func (h *hfTokenizer) check() error {
	set := func(s *string) bool { return s != nil && *s != "" }
	m, p := &h.Model, h.PreTokenizer
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{m.Type != "BPE" && m.Type != "", fmt.Sprintf("model.type %q, want \"BPE\"", m.Type)},
		{h.Normalizer != nil, "a normalizer"},
		{p == nil, "no pre_tokenizer, want ByteLevel"},
		{p != nil && p.Type != "ByteLevel", "another pre_tokenizer than ByteLevel"},
		{p != nil && p.AddPrefixSpace, "pre_tokenizer.add_prefix_space"},
		{p != nil && p.UseRegex != nil && !*p.UseRegex, "pre_tokenizer.use_regex false"},
		{m.Dropout != nil && *m.Dropout != 0, "model.dropout"},
		{set(m.Prefix), "model.continuing_subword_prefix"},
		{set(m.Suffix), "model.end_of_word_suffix"},
		{m.ByteFallback, "model.byte_fallback"},
		{m.IgnoreMerges, "model.ignore_merges"},
	} {
		if c.bad {
			return fmt.Errorf("tokenizer: tokenizer.json has %s, which is not GPT-2's encoding; use a GPT-2 tokenizer", c.what)
		}
	}
	for _, a := range h.AddedTokens {
		if a.LStrip || a.RStrip || a.Single {
			return fmt.Errorf("tokenizer: tokenizer.json: added token %q strips spaces or wants a single word, which is not supported; remove the setting", a.Content)
		}
	}
	return nil
}

// FromTokenizerJSON makes a tokenizer from the contents of Hugging Face's tokenizer.json. Added tokens are special. A
// file whose settings differ from GPT-2's encoding is refused.
func FromTokenizerJSON(data []byte) (*Tokenizer, error) {
	var h hfTokenizer
	if err := strictjson.Unmarshal(data, 2, &h); err != nil { // the vocabulary, a level deeper, is checked as it is read
		return nil, fmt.Errorf("tokenizer: tokenizer.json: %w; fetch it again", err)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	vocab, err := readVocab(h.Model.Vocab)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: tokenizer.json: model.vocab: %w; fetch it again", err)
	}
	pairs, err := mergePairs(h.Model.Merges)
	if err != nil {
		return nil, err
	}
	special := map[string]int32{}
	for _, a := range h.AddedTokens {
		special[a.Content] = a.ID
	}
	return assemble(vocab, pairs, special)
}

// mergePairs reads ["a b", ...] or, as newer files have it, [["a", "b"], ...].
func mergePairs(data []byte) ([][2]string, error) {
	var pairs [][]string
	if json.Unmarshal(data, &pairs) != nil {
		var lines []string
		if err := json.Unmarshal(data, &lines); err != nil {
			return nil, fmt.Errorf("tokenizer: tokenizer.json: model.merges: %w; fetch it again", strictjson.InWords(err))
		}
		pairs = make([][]string, len(lines))
		for i, line := range lines {
			pairs[i] = strings.Split(line, " ")
		}
	}
	out := make([][2]string, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 || p[0] == "" || p[1] == "" {
			return nil, fmt.Errorf("tokenizer: tokenizer.json: merge %d is %q, want two tokens; fetch it again", i, p)
		}
		out[i] = [2]string{p[0], p[1]}
	}
	return out, nil
}
