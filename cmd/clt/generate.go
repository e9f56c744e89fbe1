package main

import (
	"flag"
	"math"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

func generateVerb(f *flag.FlagSet) func(c *call) error {
	d := gpt2.DefaultGenerateConfig()
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	o := addOther(f)
	var edits list
	n := f.Int("n", d.N, "new tokens")
	temperature := f.Float64("temperature", d.Temperature, "0 takes the likeliest token")
	topK := f.Int("top-k", d.TopK, "draw from so many likeliest tokens; 0 for all")
	topP := f.Float64("top-p", d.TopP, "draw from the likeliest tokens that hold this probability; 0 for all")
	seed := f.Uint64("seed", d.Seed, "of the draws")
	samples := f.Int("samples", 1, "continuations")
	penalty := f.Float64("repetition-penalty", d.RepetitionPenalty, "above 1 makes tokens of the text so far less likely")
	slide := f.Bool("slide", false, "let the text be longer than the context: go on with its last half")
	var stop idList
	f.Var(&stop, "stop", "token `ids` after which it ends")
	f.Var(&edits, "edit", "`edit`: "+replacement.EditSyntax+"; may be repeated")
	asJSON := f.Bool("json", false, "ids, text and log-probabilities as JSON")
	return func(c *call) error {
		other, err := o.prompt(c, p.bos)
		if err != nil {
			return err
		}
		edited := len(edits) > 0 || other != nil
		replaced := c.given["clt"] && !edited
		switch {
		case *n < 1:
			return badCall("-n %d; give 1 or more", *n)
		case !(*temperature >= 0) || math.IsInf(*temperature, 1):
			return badCall("-temperature %g; give 0 or more", *temperature)
		case *topK < 0:
			return badCall("-top-k %d; give 0 or more", *topK)
		case !(*topP >= 0 && *topP <= 1):
			return badCall("-top-p %g; give a probability", *topP)
		case *samples < 1:
			return badCall("-samples %d; give 1 or more", *samples)
		case !(*penalty > 0) || math.IsInf(*penalty, 1):
			return badCall("-repetition-penalty %g; give a number above 0", *penalty)
		case *slide && (edited || replaced):
			return badCall("-slide goes with the model itself, not with edits or -clt; leave out one of the two")
		}
		if err := checkEdits(edits); err != nil {
			return err
		}
		p.long = *slide
		prompt, err := c.openPrompt(*set, replaced || edited, p)
		if err != nil {
			return err
		}
		if err := c.checkGenerate(*set, prompt, *n, *slide, stop); err != nil {
			return err
		}
		if err := c.checkOther(*set, other); err != nil {
			return err
		}
		page, report := &typed{c: c, sample: 1}, c.progress()
		if !*asJSON {
			report = page.along(report)
		}
		res, err := c.service().Generate(c.ctx, wire.GenerateRequest{Setup: *set, Prompt: prompt, N: *n, Temperature: *temperature,
			TopK: *topK, TopP: *topP, Seed: *seed, Samples: *samples, Penalty: *penalty, Slide: *slide, Stop: stop, Edits: edits, Other: other, Replacement: replaced}, report)
		if err != nil {
			page.end()
			return err
		}
		for _, r := range append([]wire.GenerateResponse{res}, res.More...) {
			if d := r.Diverges; d != nil && d.Pos >= 0 {
				c.remark("the replacement model leaves the model at position %d: %q, where the model has %q", d.Pos, d.Token, d.Model)
			} else if d != nil {
				c.remark("the replacement model gives the model's own %d new tokens", r.New)
			}
		}
		if *asJSON {
			return c.json(res)
		}
		for i, r := range append([]wire.GenerateResponse{res}, res.More...) {
			text := r.Text
			if text == "" {
				ids := idList(r.IDs)
				text = ids.String()
			}
			page.write(i+1, text)
		}
		page.end()
		return nil
	}
}

// checkGenerate refuses what the model cannot do, before it starts.
func (c *call) checkGenerate(set wire.Setup, prompt wire.Prompt, n int, slide bool, stop idList) error {
	info, err := c.open(set, false)
	if err != nil {
		return err
	}
	t, err := c.service().Tokens(c.ctx, wire.TokensRequest{Setup: set, Prompt: prompt, Long: slide}, nil)
	if err != nil {
		return err
	}
	if room := info.Context - len(t.IDs); n > room && !slide {
		return badCall("-n %d, but the prompt has %d tokens and the context of %s is %d; ask for at most %d, or let it -slide", n, len(t.IDs), info.Name, info.Context, room)
	}
	for _, id := range stop {
		if id < 0 || int(id) >= info.DVocab {
			return badCall("-stop %d is outside the vocabulary 0..%d of %s; give an id of its tokens", id, info.DVocab-1, info.Name)
		}
	}
	return nil
}

// typed writes texts to stdout while they grow: what stands there in the end is the
// same as if they had been written at once.
type typed struct {
	c      *call
	sample int    // whose text is being written, from 1
	done   string // what stands there of it
}

// along writes what is reported, and then lets report see it: not where a bar would
// be drawn over the text.
func (t *typed) along(report func(wire.Progress)) func(wire.Progress) {
	alone := isTerminal(t.c.stdout) && isTerminal(t.c.err)
	return func(p wire.Progress) {
		if p.Text != "" {
			t.write(max(1, int(p.Values["sample"])), p.Text)
			t.c.saved = "the text so far was written"
			_ = t.c.out.Flush() // a failed write shows at the end
		}
		if !alone {
			report(p)
		}
	}
}

// write brings the text of a sample up to date.
func (t *typed) write(sample int, text string) {
	if sample < t.sample {
		return // stands there
	}
	if sample > t.sample {
		t.c.printf("\n---\n")
		t.sample, t.done = sample, ""
	}
	if rest, ok := strings.CutPrefix(text, t.done); ok {
		t.c.printf("%s", rest)
		t.done = text
	}
}

// end closes the line.
func (t *typed) end() {
	if t.done != "" {
		t.c.printf("\n")
		t.done = ""
	}
}
