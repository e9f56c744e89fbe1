package engine

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// warnings says whether the transcoder belongs to the model at all. It is found out
// once for each pair of the two, and stands in every later result. Of a pair that is
// well it says whether this prompt is.
func (s *Service) warnings(local *replacement.Local) wire.Warned {
	var out wire.Warned
	s.mu.Lock()
	text, judged := s.fits[local.Model]
	if w := s.standIns[local.Model]; w != "" {
		out.Warnings = append(out.Warnings, w)
	}
	s.mu.Unlock()
	if !judged {
		var err error
		if text, judged, err = judge(local); err != nil {
			s.log("the fit of the transcoder could not be judged: %v", err)
			return out
		}
		if judged {
			s.mu.Lock()
			s.fits[local.Model] = text
			s.mu.Unlock()
		}
	}
	if text == "" {
		text = local.Unlike()
	}
	if text != "" {
		out.Warnings = append(out.Warnings, text)
	}
	return out
}

// judge is what is wrong with the transcoder of a prompt, "" for nothing; judged is
// false if that cannot be told. A prompt that it fits is enough; one that it does not
// may be a strange one, so then a text of its own kind decides, where there is one.
func judge(local *replacement.Local) (text string, judged bool, err error) {
	on := local
	if !local.Fit().Good() {
		other, err := fitText(local.Model)
		if err != nil {
			return "", false, err
		}
		if other != nil {
			on = other
		}
	}
	if text, judged, err = on.Suspicion(); err != nil || !judged {
		return "", false, err
	}
	info, tok := local.CLT.Info, local.LM.Tokenizer
	if text == "" && tok != nil && info.TokenizerSHA256 != "" && info.TokenizerSHA256 != tok.SHA256() {
		text = fmt.Sprintf("the transcoder %s was trained with another tokenizer than that of %s: its features saw other tokens", local.ID.Name, local.LM.Name)
	}
	return text, judged, nil
}

// fitWords is what a transcoder is judged on, fitTokens of it at most.
const (
	fitWords = "The history of the city goes back to a small harbour on the river, where merchants from the north sold wool, salt and " +
		"iron. In 1850 the first railway reached it, and within twenty years the number of people had doubled."
	fitTokens = 32
)

// fitText makes the local replacement model of a text that the transcoder is judged
// on: some sentences of its world for the pocket model, English for others; nil
// without a tokenizer.
func fitText(m *replacement.Model) (*replacement.Local, error) {
	if m.LM.Tokenizer == nil {
		return nil, nil
	}
	text := fitWords
	if m.LM.Name == pocket.Name {
		var b strings.Builder
		for _, p := range world.New(pocket.WorldSeed).Prompts() {
			b.WriteString(p.Text + p.Answer + ".")
		}
		text = b.String()
	}
	ids := m.LM.Tokenizer.Encode(text)
	if m.LM.Config.BOS >= 0 {
		ids = append([]int32{m.LM.Config.BOS}, ids...)
	}
	return m.Localize(ids[:min(len(ids), fitTokens, m.LM.Config.Context)])
}
