package clt

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Steps gives the activations of a model on one step of windows after another, from
// the model or from a cache. Step may be called again with the same number and then
// gives the same.
type Steps struct {
	Layers, DModel int
	Tokens         int // of every step, position 0 left out
	Step           func(ctx context.Context, step int) (Batch, error)
}

// ModelSteps computes activations with the model.
func ModelSteps(m *gpt2.Model, read gpt2.Site, windows gpt2.TokenSource) (Steps, error) {
	tokens, err := tokensPerStep(windows)
	if err != nil {
		return Steps{}, err
	}
	return Steps{m.Config.Layers, m.Config.DModel, tokens, func(ctx context.Context, step int) (Batch, error) {
		batch, err := windows.Batch(ctx, step)
		if err != nil {
			return Batch{}, err
		}
		return collectBatch(ctx, m, read, batch)
	}}, nil
}

// tokensPerStep is how many tokens one step of windows gives, position 0 left out.
func tokensPerStep(windows gpt2.TokenSource) (int, error) {
	batch, err := windows(0)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, w := range batch {
		n += len(w) - 1
	}
	if n < 1 {
		return 0, fmt.Errorf("clt: the windows have no tokens beyond position 0; make them longer")
	}
	return n, nil
}

// blockBytes is the memory of a shuffled block unless said otherwise, mostBatches how
// many batches it then has at most.
const (
	blockBytes  = 512 << 20
	mostBatches = 64
)

// StreamConfig says how steps become batches.
type StreamConfig struct {
	Size  int    // tokens of a batch
	Seed  uint64 // of the order
	Skip  int    // batches that were used before
	Last  int    // batches that are needed in all, those included; 0 for no end
	Round int    // steps after which the data begins again, in another order; 0 for never
	Block int64  // bytes of a shuffled block, of which two are in memory; 0 for 512 MiB and at most 64 batches

	// Report, which may be nil, gets the tokens of the block that training waits for.
	Report func(done, total int)
	Flow   *Flow // gets counts; may be nil
}

// batches is how many a block has.
func (c StreamConfig) batches(s Steps) int {
	perBatch := int64(2*s.Layers*s.DModel*4) * int64(c.Size)
	if c.Block > 0 {
		return int(max(1, c.Block/max(1, perBatch)))
	}
	return int(max(1, min(mostBatches, blockBytes/max(1, perBatch))))
}

// StepsFor is how many steps of windows the batches of the configuration take, 0 for
// no end.
func (c StreamConfig) StepsFor(s Steps) int {
	if c.Round > 0 || c.Last <= 0 {
		return c.Round
	}
	n := c.batches(s)
	blocks := (c.Last + n - 1) / n
	return blocks * ((n*c.Size + s.Tokens - 1) / s.Tokens)
}

// Flow counts what passes through a stream. It may be read while the stream runs.
type Flow struct {
	tokens, cached, busy atomic.Int64
}

func (f *Flow) add(tokens int, busy time.Duration) {
	if f != nil {
		f.tokens.Add(int64(tokens))
		f.busy.Add(int64(busy))
	}
}

// Tokens is how many tokens were collected, Cached how many of them came from a
// cache, Busy how long it took.
func (f *Flow) Tokens() int { return int(f.tokens.Load()) }

// Cached is how many tokens came from a cache.
func (f *Flow) Cached() int { return int(f.cached.Load()) }

// Busy is the time that collecting took, side by side with training.
func (f *Flow) Busy() time.Duration { return time.Duration(f.busy.Load()) }

// Stream yields shuffled batches: block after block is collected and its tokens are
// drawn in an order that depends on the seed and the block alone. The next block is
// collected while the batches of this one are used. The same steps and configuration
// give the same batches, and skipping equals drawing.
func Stream(ctx context.Context, s Steps, cfg StreamConfig) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		if cfg.Size < 1 || s.Tokens < 1 {
			yield(Batch{}, fmt.Errorf("clt: batches of %d tokens from steps of %d; give at least 1", cfg.Size, s.Tokens))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		p := &producer{steps: s, cfg: cfg, n: cfg.batches(s), blocks: make(chan block)}
		p.perBlock = (p.n*cfg.Size + s.Tokens - 1) / s.Tokens
		var done sync.WaitGroup
		done.Go(func() { p.run(ctx) })
		defer done.Wait()
		defer cancel()
		for at := cfg.Skip; cfg.Last <= 0 || at < cfg.Last; {
			p.awaited.Store(true)
			b, ok := <-p.blocks
			p.awaited.Store(false)
			if !ok || b.err != nil {
				if b.err == nil {
					b.err = ctx.Err()
				}
				yield(Batch{}, b.err)
				return
			}
			order := rand.New(rand.NewPCG(cfg.Seed, uint64(b.number))).Perm(b.Len())
			for i := at % p.n; i < p.n && (cfg.Last <= 0 || at < cfg.Last); i++ {
				at++
				if !yield(b.gather(order[i*cfg.Size:(i+1)*cfg.Size]), nil) {
					return
				}
			}
		}
	}
}

// block is a stretch of the data, in order.
type block struct {
	*Activations
	number int
	err    error
}

type producer struct {
	steps    Steps
	cfg      StreamConfig
	n        int // batches of a block
	perBlock int // steps of a block
	blocks   chan block
	awaited  atomic.Bool // training waits

	epoch int
	order []int
}

func (p *producer) run(ctx context.Context) {
	defer close(p.blocks)
	for number := p.cfg.Skip / p.n; p.cfg.Last <= 0 || number*p.n < p.cfg.Last; number++ {
		b := block{number: number}
		b.Activations, b.err = p.collect(ctx, number)
		select {
		case p.blocks <- b:
		case <-ctx.Done():
			return
		}
		if b.err != nil {
			return
		}
	}
}

// collect fills one block.
func (p *producer) collect(ctx context.Context, number int) (*Activations, error) {
	total := p.n * p.cfg.Size
	a := newActivations(p.steps, p.perBlock*p.steps.Tokens)
	for i := range p.perBlock {
		begin := time.Now()
		b, err := p.steps.Step(ctx, p.place(number*p.perBlock+i))
		if err == nil {
			err = a.Append(b)
		}
		if err != nil {
			return nil, err
		}
		p.cfg.Flow.add(b.Tokens(p.steps.DModel), time.Since(begin))
		if p.cfg.Report != nil && p.awaited.Load() {
			p.cfg.Report(min(a.Len(), total), total)
		}
	}
	if a.Len() < total {
		return nil, fmt.Errorf("clt: %d steps of windows gave %d tokens, %d were expected; the steps must be alike", p.perBlock, a.Len(), total)
	}
	return a, nil
}

// place is which step is taken: one after the other, and after a round the same in
// another order.
func (p *producer) place(step int) int {
	n := p.cfg.Round
	if n <= 0 || step < n {
		return step
	}
	if e := step / n; e != p.epoch {
		p.epoch, p.order = e, rand.New(rand.NewPCG(p.cfg.Seed^0x726F756E64, uint64(e))).Perm(n)
	}
	return p.order[step%n]
}

// newActivations has room for so many tokens.
func newActivations(s Steps, tokens int) *Activations {
	a := &Activations{DModel: s.DModel}
	for range s.Layers {
		a.In, a.Out = append(a.In, make([]float32, 0, tokens*s.DModel)), append(a.Out, make([]float32, 0, tokens*s.DModel))
	}
	return a
}
