package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/gomlx/compute"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/internal/backend"
)

// Config says what is timed.
type Config struct {
	Shape    string // architecture, random weights: see Shapes
	Tokens   []int  // prompt lengths, where a suite has them
	Features int    // per layer of the transcoder
	Batch    int    // tokens of a training step; targets of an attribution sweep
	Reps     int    // calls after the first
	Nodes    []int  // sizes of the graphs that are pruned
	Growth   bool   // attribution at lengths of its own, and with more features and caps
	Scaling  bool   // train: also over features and tokens
	Compute  string // train: type of the products, which is also that of the peak they are held against
	Path     string // train: how steps are computed, see clt.TrainConfig
	// Activation is the one that train times; "" for both.
	Activation string
	Text       string // file with English for the tokenizer; "" for made-up English
}

// DefaultConfig is GPT-2 small at three lengths.
func DefaultConfig() Config {
	return Config{Shape: "small", Tokens: []int{16, 64, 256}, Features: 1024, Batch: 256, Reps: 5, Path: clt.PathAuto, Compute: clt.ComputeFloat32}
}

// vocab of the pocket model, roughly; it only sets the size of the head here.
const pocketVocab = 600

// Shapes are the architectures by name.
func Shapes() map[string]gpt2.Config {
	tiny := pocket.Config(pocketVocab, 0)
	tiny.Layers, tiny.DModel, tiny.DMLP, tiny.Heads = 2, 32, 128, 2
	return map[string]gpt2.Config{"small": gpt2.Small(), "pocket": pocket.Config(pocketVocab, 0), "tiny": tiny}
}

// Validate names the first field that cannot be.
func (c Config) Validate() error {
	shape, ok := Shapes()[c.Shape]
	switch {
	case !ok:
		return fmt.Errorf("bench: shape %q is not known; use small, pocket or tiny", c.Shape)
	case len(c.Tokens) == 0:
		return fmt.Errorf("bench: no prompt length; give one or more")
	case c.Features < 1 || c.Batch < 1 || c.Reps < 1:
		return fmt.Errorf("bench: features %d, batch %d, reps %d; give 1 or more of each", c.Features, c.Batch, c.Reps)
	}
	for _, n := range c.Nodes {
		if n < 220 || n > attribution.MaxNodes {
			return fmt.Errorf("bench: a graph of %d nodes; give 220 to %d", n, attribution.MaxNodes)
		}
	}
	for _, n := range c.Tokens {
		if n < 1 {
			return fmt.Errorf("bench: %d tokens; give 1 or more", n)
		}
		if n > shape.Context {
			return fmt.Errorf("bench: %d tokens are more than the context of %s, %d; give less", n, c.Shape, shape.Context)
		}
	}
	return nil
}

// suite measures and hands out rows.
type suite func(ctx context.Context, r *runner) error

var suites = map[string]suite{"gpt2": gpt2Suite, "hooks": hooksSuite, "generate": generateSuite, "tokenizer": tokenizerSuite,
	"train": trainSuite, "attribution": attributionSuite, "prune": pruneSuite, "intervention": interventionSuite, "features": featuresSuite}

// Names lists the suites.
func Names() []string {
	return []string{"gpt2", "hooks", "generate", "tokenizer", "train", "attribution", "prune", "intervention", "features"}
}

// Check refuses a suite that does not exist.
func Check(name string) error {
	if suites[name] == nil {
		return fmt.Errorf("bench: no suite %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return nil
}

// Run times one suite and calls row for each measurement as it is made.
func Run(ctx context.Context, name string, b compute.Backend, backendName string, cfg Config, row func(Row)) error {
	if err := Check(name); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	shape := Shapes()[cfg.Shape]
	backend.LeanHeap(4 * 12 * shape.Layers * shape.DModel * shape.DModel)
	g, err := newGEMM(b, name == "train" && cfg.Compute == clt.ComputeBFloat16)
	if err != nil {
		return err
	}
	defer g.close()
	return suites[name](ctx, &runner{cfg: cfg, shape: shape, b: b, name: name, backend: backendName, gemm: g, row: row})
}

// runner is one suite under way.
type runner struct {
	cfg           Config
	shape         gpt2.Config
	b             compute.Backend
	name, backend string
	dir           string // for files of this run
	gemm          *gemm
	row           func(Row)
}

// measure has work fill in sizes, times and GFLOP of a row, between two
// measurements of the matrix product.
func (r *runner) measure(ctx context.Context, work func(row *Row) error) error {
	before, err := r.gemm.speed(ctx)
	if err != nil {
		return err
	}
	row := Row{Bench: r.name, Backend: r.backend}
	if err := work(&row); err != nil {
		return err
	}
	after, err := r.gemm.speed(ctx)
	if err != nil {
		return err
	}
	row.PeakMB, row.GEMM = peakMB(), max(before, after)
	r.row(row)
	return nil
}
