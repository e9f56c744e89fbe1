package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// defaultCacheBudget is how large a cache of activations may be unless told
// otherwise: 20 GiB.
const defaultCacheBudget = 20 << 30

// trainData is the data of a training run of a transcoder.
type trainData struct {
	steps  clt.Steps
	stream clt.StreamConfig
	key    clt.CacheKey
	cached bool
	flow   *clt.Flow

	last   time.Time // of the last report
	tokens int       // collected then
	hits   int
	busy   time.Duration
}

// openTrainData prepares what training draws from: the model, or a cache in front of
// it. done batches were used before.
func (s *Service) openTrainData(m *gpt2.Model, cfg clt.Config, tc clt.TrainConfig, windows textWindows, req wire.TrainRequest, done int) (*trainData, error) {
	if req.CacheTokens < 0 || req.CacheBudget < 0 || req.ShuffleMiB < 0 {
		return nil, fmt.Errorf("engine: train: %d tokens to go round, a budget of %d bytes, a shuffled block of %d MiB; give 0 or more", req.CacheTokens, req.CacheBudget, req.ShuffleMiB)
	}
	from, err := clt.ModelSteps(m, cfg.Read, windows.train)
	if err != nil {
		return nil, err
	}
	d := &trainData{steps: from, flow: &clt.Flow{}, last: time.Now()}
	d.stream = clt.StreamConfig{Size: tc.Batch, Seed: dataSeed(req, tc), Skip: done, Last: tc.Steps, Block: int64(req.ShuffleMiB) << 20, Flow: d.flow}
	if req.CacheTokens > 0 {
		d.stream.Round = (req.CacheTokens + from.Tokens - 1) / from.Tokens
	}
	d.key = clt.CacheKey{Model: m.SHA256, Tokenizer: m.Tokenizer.SHA256(), Read: string(cfg.Read), Texts: windows.digest, Seed: d.stream.Seed,
		Windows: from.Tokens / max(1, windows.window-1), Window: windows.window, Layers: cfg.Layers, DModel: cfg.DModel, DType: clt.CacheFloat32}
	if req.Cache == "" {
		return d, nil
	}
	if req.CacheDType != "" {
		d.key.DType = req.CacheDType
	}
	c, err := clt.OpenCache(req.Cache, d.key, from, d.flow)
	if err != nil {
		return nil, err
	}
	if err := fitsCache(c, req, d.stream.StepsFor(from)); err != nil {
		return nil, err
	}
	if n := d.stream.StepsFor(from) * from.Tokens; req.CacheTokens == 0 && windows.tokens > 0 && n > windows.tokens {
		s.log("cache: the run takes %d tokens of a text that has %d: each pass is kept again; go round the first %d tokens instead (-data-tokens) to keep one", n, windows.tokens, windows.tokens)
	}
	c.Damaged = func(file string, why error) { s.log("cache: %s is damaged and computed again: %v", file, why) }
	d.steps, d.cached = c.Steps(), true
	return d, nil
}

// fitsCache looks at the budget and at the disk.
func fitsCache(c *clt.Cache, req wire.TrainRequest, steps int) error {
	budget := req.CacheBudget
	if budget == 0 {
		budget = defaultCacheBudget
	}
	if err := c.Fits(steps, budget); err != nil {
		return err
	}
	need := c.Missing(steps)
	if free, ok := freeDisk(req.Cache); ok && uint64(need) > free {
		return fmt.Errorf("engine: train: the cache still needs %.1f GiB, %s has %.1f GiB free; make room, give another folder, or go round fewer tokens",
			float64(need)/(1<<30), req.Cache, float64(free)/(1<<30))
	}
	return nil
}

// dataSeed is that of the order of the data.
func dataSeed(req wire.TrainRequest, tc clt.TrainConfig) uint64 {
	if req.DataSeed != 0 {
		return req.DataSeed
	}
	return tc.Seed
}

// batches draws; report gets the tokens that training waits for.
func (d *trainData) batches(ctx context.Context, report func(wire.Progress)) iter.Seq2[clt.Batch, error] {
	d.stream.Report = func(n, total int) { tell(report, wire.Progress{Phase: "collect", Done: n, Total: total}) }
	return clt.Stream(ctx, d.steps, d.stream)
}

// dataFlow is what a report says of the data, beside clt.Progress.
type dataFlow struct {
	CollectPerSec float64 `json:"collect_tokens_per_sec"` // while it works, 0 if it did not
	FromCache     float64 `json:"from_cache"`             // fraction of these tokens
	Bottleneck    string  `json:"bottleneck"`             // "training step", "language model" or "cache"
}

// waiting is the share of the time from which on the data is the bottleneck.
const waiting = 0.1

// flowSince is the flow since the last report.
func (d *trainData) flowSince(p clt.Progress) dataFlow {
	tokens, hits, busy := d.flow.Tokens(), d.flow.Cached(), d.flow.Busy()
	f := dataFlow{Bottleneck: "training step"}
	if n := tokens - d.tokens; n > 0 {
		f.FromCache = min(1, float64(hits-d.hits)/float64(n))
		if b := busy - d.busy; b > 0 {
			f.CollectPerSec = float64(n) / b.Seconds()
		}
	}
	if p.DataWait > waiting {
		f.Bottleneck = "language model"
		if f.FromCache > 0.5 {
			f.Bottleneck = "cache"
		}
	}
	d.tokens, d.hits, d.busy, d.last = tokens, hits, busy, time.Now()
	return f
}

// message is the flow in words.
func (f dataFlow) message(p clt.Progress) string {
	text := fmt.Sprintf("bottleneck: %s (waits %.0f %% of the time", f.Bottleneck, 100*p.DataWait)
	if f.CollectPerSec > 0 {
		text += fmt.Sprintf("; data comes at %.0f tokens/s", f.CollectPerSec)
		if f.FromCache > 0 {
			text += fmt.Sprintf(", %.0f %% from the cache", 100*f.FromCache)
		}
	}
	return text + ")"
}

// dataFile, beside the checkpoints, says what data they were made with.
const dataFile = "data.json"

// dataRecord decides which batches a run sees.
type dataRecord struct {
	Data  clt.CacheKey `json:"data"`
	Cache bool         `json:"cache"`
	Round int          `json:"round"`
	Block int64        `json:"block"`
}

// sameData keeps what data a run has, and refuses to go on with other data.
func (d *trainData) sameData(dir string, done int) error {
	now := dataRecord{Data: d.key, Cache: d.cached, Round: d.stream.Round, Block: d.stream.Block}
	path := filepath.Join(dir, dataFile)
	if done > 0 {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("engine: train: resume: %w; train anew with -fresh", err)
		}
		var old dataRecord
		if err := json.Unmarshal(data, &old); err != nil {
			return fmt.Errorf("engine: train: resume: %s: %w; train anew with -fresh", dataFile, err)
		}
		for _, f := range []struct {
			name     string
			was, say any
		}{
			{"model", old.Data.Model, now.Data.Model}, {"tokenizer", old.Data.Tokenizer, now.Data.Tokenizer}, {"texts", old.Data.Texts, now.Data.Texts},
			{"read point", old.Data.Read, now.Data.Read}, {"seed of the data", old.Data.Seed, now.Data.Seed}, {"window", old.Data.Window, now.Data.Window},
			{"windows of a step", old.Data.Windows, now.Data.Windows}, {"number of steps to go round", old.Round, now.Round},
			{"size of the shuffled block", old.Block, now.Block}, {"type of the cache", old.dtype(), now.dtype()},
		} {
			if f.was != f.say {
				return fmt.Errorf("engine: train: the checkpoint was made with other data: its %s is %v, now it is %v; give the same data, or train anew with -fresh", f.name, f.was, f.say)
			}
		}
		return nil
	}
	data, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

// dtype is the type in which activations were rounded.
func (r dataRecord) dtype() string {
	if !r.Cache {
		return clt.CacheFloat32 // as the model gives them
	}
	return r.Data.DType
}
