package replacement

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// FaithfulnessConfig says how much of a prompt is tried.
type FaithfulnessConfig struct {
	Features int     // features that are taken out, one at a time, drawn evenly; 0 for all
	Draws    int     // perturbations of each kind at each layer
	Size     float64 // norm of a perturbation over that of the stream that it is added to
	Seed     uint64
}

// DefaultFaithfulnessConfig takes a prompt's features out up to 64 of them.
func DefaultFaithfulnessConfig() FaithfulnessConfig {
	return FaithfulnessConfig{Features: 64, Draws: 2, Size: 0.1, Seed: 1}
}

// Validate names the first field that cannot be.
func (c FaithfulnessConfig) Validate() error {
	switch {
	case c.Features < 0:
		return refused("faithfulness: %d features; give 0 for all, or more", c.Features)
	case c.Draws < 1:
		return refused("faithfulness: %d draws; give at least 1", c.Draws)
	case !(c.Size > 0) || math.IsInf(c.Size, 0):
		return refused("faithfulness: size %g; give a positive fraction of the stream's norm", c.Size)
	}
	return nil
}

// Faithfulness is what one prompt says about the graph (method: Anthropic 2025,
// "Circuit Tracing", quantitative faithfulness): does what the graph holds for
// important matter to the model, and does the local replacement model answer a push
// as the model does?
type Faithfulness struct {
	Ablations []Ablation   `json:"ablations"`
	Pairs     int          `json:"pairs"`    // of a feature and one that it may act on
	Spearman  float64      `json:"spearman"` // over the pairs: influence on the feature against |Δa|/a
	Agree     []PushAnswer `json:"agree"`
}

// Ablation is one feature set to 0 by constrained patching: MLP outputs up to a last
// layer hold their clean value plus the change, attention patterns are frozen, later
// layers and all LayerNorms are live.
type Ablation struct {
	Layer      int       `json:"layer"`
	Pos        int       `json:"pos"`
	Index      int       `json:"index"`
	Influence  float64   `json:"influence"`
	Direct     float64   `json:"direct"` // its share of the logits' direct input
	Activation float64   `json:"activation"`
	KL         []float64 `json:"kl"`    // KL(clean || ablated) after the last token, by last layer of the range from its own on, nats
	Logit      []float64 `json:"logit"` // change of the likeliest token's centred logit, likewise
}

// Strongest is the largest KL over the ranges.
func (a Ablation) Strongest() float64 { return slices.Max(a.KL) }

// Faithful perturbs the prompt: every feature is taken out over every range, and
// vectors are pushed into the stream of the model and of its local replacement.
// report may be nil.
func (l *Local) Faithful(ctx context.Context, cfg FaithfulnessConfig, report func(done, total int)) (*Faithfulness, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(l.Active) == 0 {
		return nil, fmt.Errorf("replacement: faithfulness: no feature is active on the prompt; give a longer one")
	}
	g, err := l.Attribute(ctx, DefaultAttributeConfig(), nil)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(cfg.Seed, 0x6661697468))
	chosen := r.Perm(len(l.Active)) // nodes of features stand in the order of l.Active
	if cfg.Features > 0 && cfg.Features < len(chosen) {
		chosen = chosen[:cfg.Features]
	}
	slices.Sort(chosen)
	pushes := l.pushes(cfg, r)
	done, total := 0, len(chosen)+len(pushes)
	step := func() {
		if done++; report != nil {
			report(done, total)
		}
	}
	f := &Faithfulness{}
	if err := l.ablateAll(ctx, g, chosen, f, step); err != nil {
		return nil, err
	}
	f.Agree, err = l.pushAll(ctx, pushes, step)
	return f, err
}

// ablateAll takes features out, one at a time.
func (l *Local) ablateAll(ctx context.Context, g *attribution.Graph, chosen []int, f *Faithfulness, step func()) error {
	influence, err := g.Influence()
	if err != nil {
		return err
	}
	direct := directShares(g)
	var share, moved []float64
	for _, i := range chosen {
		a := l.Active[i]
		x := Ablation{Layer: a.Layer, Pos: a.Pos, Index: a.Index, Influence: influence[i], Direct: direct[i], Activation: a.Value}
		most := make([]float64, len(l.Active))
		for to := a.Layer + 1; to <= l.CLT.Layers; to++ {
			e, err := l.Intervene(ctx, InterveneConfig{Mode: Constrained, To: to, FreezeAttention: true}, Ablate(a.Feature, a.Pos))
			if err != nil {
				return err
			}
			kl, logit := e.lastChange()
			x.KL, x.Logit = append(x.KL, kl), append(x.Logit, logit)
			l.relativeChanges(e, a, most)
		}
		f.Ablations = append(f.Ablations, x)
		reach, err := g.InfluenceOf(i)
		if err != nil {
			return err
		}
		for t, b := range l.Active {
			if b.Layer > a.Layer && b.Pos >= a.Pos {
				share, moved = append(share, reach[t]), append(moved, most[t])
			}
		}
		step()
	}
	f.Pairs, f.Spearman = len(share), spearman(share, moved)
	return nil
}

// directShares is what each node gives to the logits without a detour, as shares
// weighted by probability.
func directShares(g *attribution.Graph) []float64 {
	direct := make([]float64, len(g.Nodes))
	for t, n := range g.Nodes {
		if n.Kind != attribution.Logit {
			continue
		}
		sum := 0.0
		for s := range g.Nodes {
			if g.Nodes[s].Kind != attribution.Bias {
				sum += abs(g.Weight(t, s))
			}
		}
		for s := range g.Nodes {
			direct[s] += n.Prob * abs(g.Weight(t, s)) / max(sum, 1e-10)
		}
	}
	return direct
}

// lastChange is the effect on the next token after the prompt: KL(clean || edited),
// and the change of the likeliest token's centred logit.
func (e *Effect) lastChange() (kl, logit float64) {
	p, v := len(e.local.Tokens)-1, e.local.LM.Config.DVocab
	kl = e.KL()[p]
	clean, top := e.local.logitRow(p), 0
	mean := 0.0
	for i, x := range clean {
		if x > clean[top] {
			top = i
		}
		mean += (e.Logits.At(p*v+i) - x) / float64(v)
	}
	return kl, e.Logits.At(p*v+top) - clean[top] - mean
}

// relativeChanges raises most to |Δa|/a of every active feature behind the edit.
func (l *Local) relativeChanges(e *Effect, edited Active, most []float64) {
	after := activate(l.CLT, e.Pre)
	for t, b := range l.Active {
		if b.Layer > edited.Layer && b.Pos >= edited.Pos {
			most[t] = max(most[t], abs(after[b.Layer].At(b.Pos*l.CLT.Features+b.Index)-b.Value)/abs(b.Value))
		}
	}
}
