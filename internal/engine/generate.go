package engine

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Generate continues a prompt with the model, the model under edits, or the full
// replacement model.
func (s *Service) Generate(ctx context.Context, req wire.GenerateRequest, report func(wire.Progress)) (out wire.GenerateResponse, err error) {
	m, program, err := s.programmed(ctx, req.Setup, req.Replacement, report)
	if err != nil {
		return out, err
	}
	read := encode
	if req.Slide {
		read = encodeLong
	}
	ids, err := read(m, req.Prompt)
	if err != nil {
		return out, err
	}
	if !(req.Temperature >= 0) || req.TopK < 0 || !(req.TopP >= 0 && req.TopP <= 1) {
		return out, fmt.Errorf("engine: generate: temperature %g, top-k %d, top-p %g; give a temperature of 0 (greedy) or more, a top-k of 0 (all) or more, a top-p from 0 to 1", req.Temperature, req.TopK, req.TopP)
	}
	for _, id := range req.Stop {
		if id < 0 || int(id) >= m.Config.DVocab {
			return out, fmt.Errorf("engine: generate: stop token %d is outside the vocabulary 0..%d of %s; give an id of its tokens", id, m.Config.DVocab-1, m.Name)
		}
	}
	if len(req.Edits) > 0 || req.Other != nil {
		if req.Replacement {
			return out, fmt.Errorf("engine: generate: edits act on the model itself, not on its replacement; leave out one of the two")
		}
		r, err := s.running(ctx, req.Setup, report)
		if err != nil {
			return out, err
		}
		edits, err := s.liveEdits(r, req, ids)
		if err != nil {
			return out, err
		}
		if program, err = r.LiveProgram(len(ids), edits...); err != nil {
			return out, err
		}
	}
	cfg := gpt2.DefaultGenerateConfig()
	cfg.N, cfg.Seed, cfg.Stop, cfg.RepetitionPenalty, cfg.Slide = req.N, req.Seed, req.Stop, req.Penalty, req.Slide
	cfg.Sampler = gpt2.Sampler{Temperature: req.Temperature, TopK: req.TopK, TopP: req.TopP}
	if program.Hook != nil && cfg.Slide {
		return out, fmt.Errorf("engine: generate: edits and replacement models count positions from the start of the text, which slides; leave out one of the two")
	}
	samples := max(1, req.Samples)
	var list []wire.GenerateResponse
	for cfg.Sample = range samples {
		p := wire.Progress{Phase: "generate", Done: cfg.Sample * cfg.N, Total: samples * cfg.N}
		if samples > 1 {
			p.Values = map[string]float64{"sample": float64(cfg.Sample + 1)}
		}
		text := newGrowing(m, visible(m, ids, req))
		g, err := m.Generate(ctx, program, ids, cfg, func(id int32) bool {
			p.Done++
			p.Text = text.add(id)
			tell(report, p)
			return true
		})
		if err != nil {
			return out, err
		}
		one := generated(m, g, req)
		p.Text = one.Text
		tell(report, p)
		if req.Replacement {
			if one.Diverges, err = divergence(ctx, m, g, cfg); err != nil {
				return out, err
			}
		}
		list = append(list, one)
	}
	out = list[0]
	out.More = list[1:]
	return out, nil
}

// divergence continues the prompt with the model itself, up to the first token that
// is not that of the replacement model.
func divergence(ctx context.Context, m *gpt2.Model, replaced *gpt2.Generation, cfg gpt2.GenerateConfig) (*wire.Divergence, error) {
	d, n := &wire.Divergence{Pos: -1}, 0
	_, err := m.Generate(ctx, gpt2.Program{}, replaced.Prompt, cfg, func(id int32) bool {
		if n == len(replaced.Tokens) {
			return false
		}
		if other := replaced.Tokens[n]; other != id {
			*d = wire.Divergence{Pos: len(replaced.Prompt) + n, ID: other, Original: id}
			text := m.TokenTexts([]int32{other, id})
			d.Token, d.Model = text[0], text[1]
			return false
		}
		n++
		return true
	})
	return d, err
}

func generated(m *gpt2.Model, g *gpt2.Generation, req wire.GenerateRequest) wire.GenerateResponse {
	all := slices.Concat(g.Prompt, g.Tokens)
	out := wire.GenerateResponse{IDs: all, Logprobs: g.Logprobs, New: len(g.Tokens), Tokens: m.TokenTexts(all)}
	if m.Tokenizer != nil {
		out.Text = m.Tokenizer.DecodeString(visible(m, all, req))
	}
	return out
}

// visible are the tokens without the <|endoftext|> that nobody wrote.
func visible(m *gpt2.Model, ids []int32, req wire.GenerateRequest) []int32 {
	if m.Config.BOS >= 0 && len(ids) > 0 && ids[0] == m.Config.BOS && !req.NoBOS && req.Text != "" {
		return ids[1:]
	}
	return ids
}

// textGap is how often the growing text is told. Telling it takes as long as it is.
const textGap = 40 * time.Millisecond

// growing is a text to which tokens are added.
type growing struct {
	tok  *tokenizer.Tokenizer // nil: no text
	raw  []byte
	told time.Time
}

func newGrowing(m *gpt2.Model, ids []int32) *growing {
	g := &growing{tok: m.Tokenizer}
	if g.tok != nil {
		g.raw = g.tok.Decode(ids)
	}
	return g
}

// add takes a token and returns the text so far, "" if it was told a moment ago. A
// character of which some bytes are still to come is left out: what is returned is
// the beginning of what will be.
func (g *growing) add(id int32) string {
	if g.tok == nil {
		return ""
	}
	g.raw = append(g.raw, g.tok.Decode([]int32{id})...)
	if time.Since(g.told) < textGap {
		return ""
	}
	g.told = time.Now()
	return tokenizer.Valid(string(withoutPart(g.raw)))
}

// withoutPart cuts off the beginning of a character at the end of a text.
func withoutPart(b []byte) []byte {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}
