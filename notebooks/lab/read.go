package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Run runs the model on a prompt and keeps activations by name: "hook_embed",
// "blocks.3.hook_resid_mid", patterns with one "*" at either end, "all". Activation
// gives them; the predictions are there too.
func (s *Session) Run(prompt string, hooks ...string) *Activations {
	return s.run(wire.RunRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, Hooks: hooks})
}

// RunReplaced is Run with the full replacement model: every MLP output is what the
// features decode to, and nothing puts the errors back.
func (s *Session) RunReplaced(prompt string, hooks ...string) *Activations {
	return s.run(wire.RunRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}, Hooks: hooks, Replacement: true})
}

func (s *Session) run(req wire.RunRequest) *Activations {
	a := &Activations{Predictions: Predictions{Prompt: req.Text}}
	s.withFile(func(file string) {
		req.Out = file
		s.do("run", req, &a.RunResponse, nil)
		a.arrays = readArrays(file)
	})
	a.Out = ""
	return a
}

// Activations are a run with what was recorded.
type Activations struct {
	Predictions
	arrays map[string]Array
}

// Logits are those after every token, [pos, d_vocab].
func (a *Activations) Logits() Array { return a.Activation("logits") }

// Activation is one recorded activation, without a batch axis: most are [pos,
// d_model], attention patterns [head, query, key].
func (a *Activations) Activation(name string) Array { return named("run", a.arrays, name) }

// Names lists what was recorded.
func (a *Activations) Names() []string {
	var list []string
	for n := range a.arrays {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// Output is the predictions and a table of what was recorded.
func (a *Activations) Output() viz.Output {
	var rows [][]string
	for _, n := range a.Names() {
		rows = append(rows, []string{n, fmt.Sprint(a.arrays[n].Shape)})
	}
	return viz.Join("run", a.Predictions.Output(), viz.Table("Recorded", []string{"activation", "shape"}, rows))
}

// Tensor reads a weight: of the model by its checkpoint's name ("wte.weight",
// "h.0.ln_2.weight"), of the transcoder "W_enc_0" [features, d_model], "b_enc_0",
// "threshold_0" [features], "W_dec_0" [features, targets, d_model] (target k is layer
// 0+k), "b_dec_0" [d_model]. Rows pick some of the first axis.
func (s *Session) Tensor(name string, rows ...int) (a Array) {
	s.withFile(func(file string) {
		s.do("tensors", wire.TensorsRequest{Setup: s.on(), Names: []string{name}, Rows: rows, Out: file}, nil, nil)
		a = named("tensors", readArrays(file), name)
	})
	return a
}

// Encoder is what a feature reads: its row of W_enc, [d_model].
func (s *Session) Encoder(layer, index int) []float64 {
	return s.Tensor(fmt.Sprintf("W_enc_%d", layer), index).Data
}

// Decoder is what a feature of activation 1 writes, by layer from its own on:
// [targets, d_model].
func (s *Session) Decoder(layer, index int) Array {
	a := s.Tensor(fmt.Sprintf("W_dec_%d", layer), index)
	if len(a.Shape) == 3 {
		a.Shape = a.Shape[1:]
	}
	return a
}

// withFile gives f the name of a file that is gone afterwards. The engine's folder
// is private and on this machine.
func (s *Session) withFile(f func(file string)) {
	file := filepath.Join(filepath.Dir(s.place.socket), fmt.Sprintf("cell-%d.safetensors", os.Getpid()))
	defer os.Remove(file)
	f(file)
}

// readArrays reads every tensor of a file.
func readArrays(file string) map[string]Array {
	f, err := safetensors.Open(file)
	if err != nil {
		fail("read", fmt.Errorf("lab: what the engine wrote: %w; is the disk full?", err))
		return nil
	}
	defer f.Close()
	out := map[string]Array{}
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		data, err := f.Float64(name)
		if err != nil {
			fail("read", err)
			return nil
		}
		out[name] = Array{info.Shape, data}
	}
	return out
}

func named(verb string, arrays map[string]Array, name string) Array {
	a, ok := arrays[name]
	if !ok {
		var have []string
		for n := range arrays {
			have = append(have, n)
		}
		slices.Sort(have)
		if len(have) == 0 {
			fail(verb, &wire.Error{Message: fmt.Sprintf("lab: nothing was recorded, so there is no %q", name), Cure: "name hooks in Run, or give Intervene the option lab.Keep()"})
			return a
		}
		fail(verb, fmt.Errorf("lab: nothing was recorded as %q; there is %s", name, strings.Join(have[:min(8, len(have))], ", ")))
	}
	return a
}

// Attention gives the attention patterns of a prompt: of one layer, or of all
// layers for -1.
func (s *Session) Attention(prompt string, layer int) *Attention {
	hook := "*attn.hook_pattern"
	if layer >= 0 {
		hook = fmt.Sprintf("blocks.%d.attn.hook_pattern", layer)
	}
	r := s.Run(prompt, hook)
	a := &Attention{Tokens: r.Tokens, Patterns: map[int][][][]float64{}}
	for _, name := range r.Names() {
		var l int
		if _, err := fmt.Sscanf(name, "blocks.%d.attn.hook_pattern", &l); err != nil {
			continue
		}
		x := r.Activation(name) // [head, query, key]
		heads := make([][][]float64, x.Shape[0])
		for h := range heads {
			for q := range x.Shape[1] {
				heads[h] = append(heads[h], x.Row(h, q))
			}
		}
		a.Patterns[l] = heads
	}
	return a
}

// Attention is where every head looks.
type Attention struct {
	Tokens   []string
	Patterns map[int][][][]float64 // layer -> [head][query][key]; each row sums to 1
}

// Output is one small map a head, layer by layer.
func (a *Attention) Output() viz.Output {
	var layers []int
	for l := range a.Patterns {
		layers = append(layers, l)
	}
	slices.Sort(layers)
	var outs []viz.Output
	for _, l := range layers {
		outs = append(outs, viz.Attention(fmt.Sprintf("Attention of layer %d", l), a.Patterns[l], a.Tokens))
	}
	return viz.Join("attention", outs...)
}

// Lens reads every layer out as if it were the last, and follows one token at the
// last position: the likeliest, or the one that is given.
func (s *Session) Lens(prompt string, token ...string) *Lens {
	l := &Lens{}
	req := wire.LensRequest{Setup: s.on(), Prompt: wire.Prompt{Text: prompt}}
	if len(token) > 0 {
		req.Track = token[0]
	}
	s.do("lens", req, &l.LensResponse, nil)
	return l
}

// Lens is the logit lens of a prompt.
type Lens struct{ wire.LensResponse }

// Output is the lens, and the parts of the answer's logit.
func (l *Lens) Output() viz.Output {
	cells := make([][]viz.LensCell, len(l.Stages))
	for i, row := range l.LensResponse.Top {
		for _, p := range row {
			cells[i] = append(cells[i], viz.LensCell{Token: p.Token, Prob: p.Prob})
		}
		cells[i][len(row)-1].Rank = l.Rank[i]
	}
	bars := make([]viz.Bar, len(l.Parts))
	for i, p := range l.Parts {
		bars[i] = viz.Bar{Name: p.Name, Value: p.Value}
	}
	answer := strings.TrimSpace(l.Answer.Token)
	return viz.Join("lens",
		viz.Lens("Logit lens: what the model would say if it ended there", l.LensResponse.Tokens, cells, viz.LensOptions{Target: l.Answer.Token, Layers: l.Stages}),
		viz.Bars(fmt.Sprintf("Who wrote “%s”: the parts of its centred logit, %.3f in all", answer, l.Centred), bars, viz.BarOptions{}))
}
