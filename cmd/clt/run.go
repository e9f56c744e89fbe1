package main

import (
	"flag"
	"fmt"
	"math"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/nearest"
)

const topDefault = 10 // predictions shown

func runVerb(f *flag.FlagSet) func(c *call) error {
	set := setupFlags(f, hasCLT|hasDType)
	p := addPrompt(f)
	var hooks commaList
	f.Var(&hooks, "hooks", "activations to save: all, or hook `names` such as blocks.3.hook_resid_mid, or patterns such as blocks.3.*")
	out := f.String("o", "", "safetensors `file` with the logits [pos, d_vocab] and the hooks, without batch axis")
	top := f.Int("top", topDefault, "predictions to show")
	asJSON := f.Bool("json", false, "the predictions as JSON")
	return func(c *call) error {
		replaced := c.given["clt"]
		if err := checkTop(*top); err != nil {
			return err
		}
		if len(hooks) > 0 && *out == "" {
			return badCall("-hooks needs a file; give -o FILE.safetensors")
		}
		if err := output(*out); err != nil {
			return err
		}
		prompt, err := c.openPrompt(*set, replaced, p)
		if err != nil {
			return err
		}
		if err := c.checkHooks(*set, hooks); err != nil {
			return err
		}
		res, err := c.service().Run(c.ctx, wire.RunRequest{Setup: *set, Prompt: prompt, Hooks: hooks, Out: *out, Top: *top, Replacement: replaced}, c.progress())
		if err != nil {
			return err
		}
		if *out != "" {
			c.remark("wrote %s", *out)
		}
		if *asJSON {
			return c.json(res)
		}
		c.printf("%s\n%s", promptLine(res.TokensResponse), predictionTable(res.Top))
		if a := res.Agreement; a != nil {
			var rows [][]string
			for p, t := range res.Tokens {
				rows = append(rows, []string{fmt.Sprint(p), fmt.Sprintf("%q", t), number(a.KL[p]), number(a.Cosine[p]), number(a.MSE[p]), fmt.Sprint(a.Same[p])})
			}
			c.printf("\n%s", table("The replacement model against the model, after each token", []string{"position", "token", "KL", "cosine", "MSE", "same top"}, rows))
		}
		return nil
	}
}

func checkTop(n int) error {
	if n < 1 {
		return badCall("-top %d; give 1 or more", n)
	}
	return nil
}

// checkHooks refuses a hook that the model does not have, before it runs.
func (c *call) checkHooks(set wire.Setup, hooks []string) error {
	if len(hooks) == 0 {
		return nil
	}
	info, err := c.service().Open(c.ctx, wire.OpenRequest{Setup: wire.Setup{Model: set.Model, Backend: set.Backend, DType: set.DType}}, nil)
	if err != nil {
		return err
	}
	var names []string
	for _, n := range gpt2.HookNames(info.Layers) {
		names = append(names, string(n))
	}
	for _, h := range hooks {
		if h != "all" && !matchesAny(h, names) {
			return badCall("%s has no hook %q%s; hooks are all, or names such as %s", info.Name, h, nearest.DidYouMean(h, names), names[len(names)/2])
		}
	}
	return nil
}

// matchesAny says whether a name, or a pattern with one * at an end, is there.
func matchesAny(pattern string, names []string) bool {
	for _, n := range names {
		if n == pattern || strings.HasSuffix(pattern, "*") && strings.HasPrefix(n, strings.TrimSuffix(pattern, "*")) ||
			strings.HasPrefix(pattern, "*") && strings.HasSuffix(n, strings.TrimPrefix(pattern, "*")) {
			return true
		}
	}
	return false
}

// promptLine shows the tokens of a prompt, each between bars.
func promptLine(t wire.TokensResponse) string {
	words := make([]string, len(t.Tokens))
	for i, w := range t.Tokens {
		words[i] = strings.ReplaceAll(w, "\n", `\n`)
	}
	return fmt.Sprintf("%d tokens: |%s|", len(words), strings.Join(words, "|"))
}

func predictionTable(list []wire.Prediction) string {
	rows := make([][]string, len(list))
	for i, p := range list {
		rows[i] = []string{fmt.Sprintf("%q", p.Token), fmt.Sprint(p.ID), fmt.Sprintf("%.4f", p.Prob), fmt.Sprintf("%.3f", p.Logit)}
	}
	return table("", []string{"next token", "id", "probability", "logit"}, rows)
}

// number is a value for people.
func number(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-3 || a >= 1e5) {
		return fmt.Sprintf("%.2e", v)
	}
	return fmt.Sprintf("%.4f", v)
}
