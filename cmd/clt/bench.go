package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/backend"
	"github.com/etredal/cross-layer-transcoder/internal/bench"
)

// sizeList is a flag with numbers and commas between them.
type sizeList []int

func (l *sizeList) String() string {
	words := make([]string, len(*l))
	for i, n := range *l {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

func (l *sizeList) Set(s string) error {
	*l = nil
	for _, word := range strings.Split(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return fmt.Errorf("%q is no number", word)
		}
		*l = append(*l, n)
	}
	return nil
}

func benchVerb(f *flag.FlagSet) func(c *call) error {
	cfg := bench.DefaultConfig()
	tokens, nodes := sizeList(cfg.Tokens), sizeList(cfg.Nodes)
	name := f.String("backend", "", "`backend`: go, xla, xla:cpu, xla:cuda or the absolute path of a plugin")
	f.StringVar(&cfg.Shape, "shape", cfg.Shape, "`architecture`, with random weights: small (GPT-2 small), pocket or tiny")
	f.Var(&tokens, "tokens", "prompt `lengths`")
	f.Var(&nodes, "nodes", "`sizes` of the graphs that the prune suite makes")
	f.IntVar(&cfg.Features, "features", cfg.Features, "features per layer of the transcoder")
	f.IntVar(&cfg.Batch, "batch", cfg.Batch, "tokens of a training step")
	f.IntVar(&cfg.Reps, "reps", cfg.Reps, "calls after the first")
	f.StringVar(&cfg.Text, "text", "", "`file` with English for the tokenizer suite (default: made-up English)")
	f.BoolVar(&cfg.Scaling, "scaling", false, "train: also over features (256 to 4096) and tokens (128 to 2048)")
	f.StringVar(&cfg.Path, "path", cfg.Path, "train: how steps are `computed`: auto, dense or sparse")
	f.StringVar(&cfg.Compute, "compute", cfg.Compute, "train: `type` of matrix products: float32 or bfloat16")
	f.StringVar(&cfg.Activation, "activation", "", "train: jumprelu or batchtopk (default both)")
	asJSON := f.Bool("json", false, "one JSON object a line")
	quantiles := f.Bool("quantiles", false, "instead of suites: the small operations of the host side, with quantiles")
	return func(c *call) error {
		if *quantiles {
			bench.Quantiles()
			return nil
		}
		suites := c.args
		if len(suites) == 0 {
			suites = bench.Names()
		}
		for _, s := range suites {
			if err := bench.Check(s); err != nil {
				return usageError{err}
			}
		}
		cfg.Nodes, cfg.Growth = nodes, !c.given["tokens"]
		if cfg.Tokens = tokens; !c.given["tokens"] {
			cfg.Tokens = fitting(tokens, bench.Shapes()[cfg.Shape].Context)
		}
		if err := cfg.Validate(); err != nil {
			return usageError{err}
		}
		if !knownBackend(*name) {
			return badCall("-backend %s is not known; use go, xla, xla:cpu, xla:cuda or the absolute path of a PJRT plugin", *name)
		}
		b, info, err := backend.Open(*name)
		if err != nil {
			return err
		}
		defer b.Finalize()
		c.remark("backend: %s", info)
		for _, s := range suites {
			var rows []bench.Row
			err := bench.Run(c.ctx, s, b, info.Name, cfg, func(r bench.Row) {
				rows = append(rows, r)
				if *asJSON {
					_ = c.json(r)
					_ = c.out.Flush()
				} else {
					c.remark("%s %s: %.1f ms", r.Bench, sizesText(r), 1e3*r.Times.Min.Seconds())
				}
			})
			if err != nil {
				return err
			}
			if !*asJSON {
				c.printf("%s\n", benchTable(s, rows))
			}
		}
		return nil
	}
}

// fitting are the lengths that the model can take; its context if none can.
func fitting(tokens []int, context int) []int {
	var out []int
	for _, n := range tokens {
		if n <= context {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		out = []int{context}
	}
	return out
}

func sizesText(r bench.Row) string {
	var words []string
	if r.What != "" {
		words = append(words, r.What)
	}
	for _, s := range r.Sizes {
		words = append(words, fmt.Sprintf("%s=%d", s.Name, s.Value))
	}
	return strings.Join(words, " ")
}

// orNone leaves out what a suite does not have.
func orNone(format string, v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func benchTable(name string, rows []bench.Row) string {
	if len(rows) == 0 {
		return ""
	}
	var head []string
	if rows[0].What != "" {
		head = append(head, "activation")
	}
	for _, s := range rows[0].Sizes {
		head = append(head, s.Name)
	}
	head = append(head, "first ms", "min ms", "median ms", "tokens/s", "MB/s", "GFLOP", "GFLOP/s", "GEMM now", "% of GEMM", "peak MB", "ratio", "by work", "work MB")
	if rows[0].ReadGB > 0 {
		head = append(head, "GB/s", "memory now", "% of memory")
	}
	for _, p := range rows[0].Phases {
		head = append(head, strings.ReplaceAll(p.Name, "_s", " ms"))
	}
	var cells [][]string
	for _, r := range rows {
		var row []string
		if r.What != "" {
			row = append(row, r.What)
		}
		for _, s := range r.Sizes {
			row = append(row, strconv.Itoa(s.Value))
		}
		ms := func(s float64) string { return fmt.Sprintf("%.1f", 1e3*s) }
		row = append(row, ms(r.Times.First.Seconds()), ms(r.Times.Min.Seconds()), ms(r.Times.Median.Seconds()),
			orNone("%.0f", r.TokensPerSecond()), orNone("%.1f", r.MBPerSecond()), fmt.Sprintf("%.3g", r.GFLOP),
			fmt.Sprintf("%.1f", r.GFLOPS()), fmt.Sprintf("%.1f", r.GEMM), fmt.Sprintf("%.0f", r.Share()), fmt.Sprintf("%.0f", r.PeakMB), orNone("%.2f", r.Ratio), orNone("%.2f", r.WorkRatio), orNone("%.1f", r.WorkMB))
		if r.ReadGB > 0 {
			row = append(row, fmt.Sprintf("%.1f", r.GBPerSecond()), fmt.Sprintf("%.1f", r.Memory), fmt.Sprintf("%.0f", r.MemoryShare()))
		}
		for _, p := range r.Phases {
			row = append(row, ms(p.Time.Seconds()))
		}
		cells = append(cells, row)
	}
	return table(fmt.Sprintf("%s on %s", name, rows[0].Backend), head, cells)
}
