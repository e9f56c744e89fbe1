package replacement

import (
	"context"
	"fmt"
	"math"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// AttributeConfig says which graph is made.
type AttributeConfig struct {
	Targets     []Target // nil: the top logits
	MaxLogits   int      // most top logits
	LogitProb   float64  // probability mass of the top logits, 0-1
	MaxFeatures int      // cap on features by influence; 0 for none
	Batch       int      // targets per sweep
	Interval    int      // with a cap, batches between two rankings of the features
	Compat      string   // "" or "circuit-tracer": its nodes alone, rows without proof
	MaxBytes    int64    // budget of the graph's weights; 0 for attribution.MaxBytes
}

// DefaultAttributeConfig is the paper's choice of targets, without a cap.
func DefaultAttributeConfig() AttributeConfig {
	return AttributeConfig{MaxLogits: 10, LogitProb: 0.95, Batch: 64, Interval: 4}
}

// Validate names the first field that cannot be.
func (c AttributeConfig) Validate() error {
	switch {
	case c.MaxLogits < 1 && len(c.Targets) == 0:
		return refused("attribute: max logits is %d; it must be at least 1", c.MaxLogits)
	case !(c.LogitProb > 0 && c.LogitProb <= 1) && len(c.Targets) == 0:
		return refused("attribute: logit probability is %g; it must be in (0, 1]", c.LogitProb)
	case c.Batch < 1:
		return refused("attribute: batch is %d; it must be at least 1", c.Batch)
	case c.Interval < 1:
		return refused("attribute: update interval is %d; it must be at least 1", c.Interval)
	case c.MaxBytes < 0:
		return refused("attribute: budget is %d bytes; it must be 0 or more", c.MaxBytes)
	case c.MaxFeatures < 0:
		return refused("attribute: max features is %d; it must be 0 or more", c.MaxFeatures)
	case c.Compat != "" && c.Compat != "circuit-tracer":
		return refused("attribute: compat %q is not known; use circuit-tracer", c.Compat)
	}
	return nil
}

// RowTolerance is the largest row error, relative to max(1, |value|), that a
// graph may have and still be called proven.
func RowTolerance(double bool) float64 {
	if double {
		return 1e-10
	}
	return 1e-4
}

// Attribute computes the attribution graph of the prompt. It fails if a row does
// not add up to its target's value within RowTolerance. report may be nil.
func (l *Local) Attribute(ctx context.Context, cfg AttributeConfig, report func(done, total int)) (*attribution.Graph, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(cfg.Targets) == 0 {
		cfg.Targets = l.TopTargets(cfg.MaxLogits, cfg.LogitProb)
	}
	if err := l.checkTargets(cfg.Targets); err != nil {
		return nil, err
	}
	if err := l.checkSize(cfg); err != nil {
		return nil, err
	}
	b, err := l.newBuilder(cfg)
	if err != nil {
		return nil, err
	}
	all := make([]int, len(b.Active))
	for i := range all {
		all[i] = i
	}
	var g *attribution.Graph
	if !b.capped() {
		g = b.graph(all)
	}
	if err := b.fill(ctx, g, report); err != nil {
		return nil, err
	}
	if b.capped() {
		g = b.graph(b.visited)
		b.pack(g)
	}
	if cfg.Compat != "" {
		g.Settings.RowIdentity = -1
		return g, nil
	}
	worst, node := b.rowIdentity(g)
	g.Settings.RowIdentity = worst
	if tol := RowTolerance(l.LM.Double); !(worst <= tol) {
		return nil, fmt.Errorf("replacement: attribute: the row of %s misses its value by %.3g of max(1, |value|), more than %g; report this with the prompt", node, worst, tol)
	}
	return g, nil
}

// checkTargets refuses the same token twice: both would be one node.
func (l *Local) checkTargets(targets []Target) error {
	seen := map[[2]int]bool{}
	for _, t := range targets {
		if err := l.checkTarget(t); err != nil {
			return err
		}
		if len(t.Tokens) != 1 || t.Vector != nil || !t.Demean || t.Tokens[0].Scale != 1 {
			continue
		}
		k := [2]int{t.Pos, int(t.Tokens[0].ID)}
		if k[0] < 0 {
			k[0] = len(l.Tokens) - 1
		}
		if seen[k] {
			return refused("attribute: target %s at position %d is given twice; keep one", t.Label, k[0])
		}
		seen[k] = true
	}
	return nil
}

// checkSize refuses a graph beyond the budget before anything is allocated, and
// says how many features would fit. Under a cap the rows that are kept for all
// active features count, not the graph alone.
func (l *Local) checkSize(cfg AttributeConfig) error {
	budget := cfg.MaxBytes
	if budget == 0 {
		budget = attribution.MaxBytes
	}
	others := (l.CLT.Layers+2)*len(l.Tokens) + 1 + len(cfg.Targets)
	features, rows := len(l.Active), int64(0)
	capped := cfg.MaxFeatures > 0 && cfg.MaxFeatures < features
	if capped {
		features = cfg.MaxFeatures
		size := attribution.MatrixBytes(1, l.LM.Double)
		rows = int64(features+len(cfg.Targets)) * int64(len(l.Active)+others) * size
	}
	need := attribution.MatrixBytes(features+others, l.LM.Double) + rows
	if need <= budget {
		return nil
	}
	fit := int(math.Sqrt(float64(budget/attribution.MatrixBytes(1, l.LM.Double)))) - others
	if capped {
		fit = features / 2
	}
	const mib = 1 << 20
	return fmt.Errorf("replacement: attribute: %d features make a graph of %d nodes, %.1f MiB of edges; the budget is %.1f MiB; cap the features at %d or less, or shorten the prompt",
		features, features+others, float64(need)/mib, float64(budget)/mib, max(1, fit))
}

// rowIdentity is the worst row error and its target.
func (b *builder) rowIdentity(g *attribution.Graph) (worst float64, node string) {
	for t, n := range g.Nodes {
		if n.Kind != attribution.Feature && n.Kind != attribution.Logit {
			continue
		}
		sum := 0.0
		for s := range g.Nodes {
			sum += g.Weight(t, s)
		}
		d := abs(sum-n.Preactivation) / max(1, abs(n.Preactivation))
		if !(d <= worst) {
			worst, node = d, n.String()
		}
	}
	return worst, node
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}
