package engine

import (
	"context"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket/world"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/corpus"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

// lmCheckpoint is the file in the output folder that an interrupted training
// leaves.
const lmCheckpoint = "checkpoint.safetensors"

// heldWindows is how many windows a validation reads at most.
const heldWindows = 256

// TrainLM trains a GPT-2 on the pocket world or on texts, from new weights or from
// those of a model, and writes it as a Hugging Face directory, with metrics.jsonl:
// one line a step. It goes on from a checkpoint in the folder if asked.
func (s *Service) TrainLM(ctx context.Context, req wire.TrainLMRequest, report func(wire.Progress)) (out wire.TrainLMResponse, err error) {
	if req.Out == "" {
		return out, fmt.Errorf("engine: train-lm: no output folder; give one")
	}
	o, err := s.lockedBackend(req.Backend)
	if err != nil {
		return out, err
	}
	cfg, err := lmConfig(req)
	if err != nil {
		return out, err
	}
	checkpoint, found := filepath.Join(req.Out, lmCheckpoint), ""
	if _, err := os.Stat(checkpoint); err == nil {
		found = lmCheckpoint
	}
	if err := begun(req.Out, found, req.Resume, req.Fresh); err != nil {
		return out, fmt.Errorf("engine: train-lm: %w", err)
	}
	m, d, err := startLM(ctx, o, req, &cfg, report)
	if err != nil {
		return out, err
	}
	if found != "" && !req.Resume {
		if err := os.Remove(checkpoint); err != nil {
			return out, fmt.Errorf("engine: train-lm: %w; is the folder writable?", err)
		}
	}
	var log *metricsLog
	defer func() { log.Close() }()
	var losses []float64
	validation := math.NaN()
	err = gpt2.Train(ctx, m, d.TrainData, cfg, checkpoint, func(p gpt2.TrainProgress) {
		if log == nil { // only now it is known where the run goes on
			if log, err = openMetrics(req.Out, p.Step-1); err != nil {
				s.log("%v", err)
			}
		}
		log.write(p)
		losses = append(losses, p.Loss)
		if p.Validation != nil {
			validation = *p.Validation
		}
		values := map[string]float64{"loss": p.Loss, "lr": p.LR, "grad_norm": p.GradNorm, "tokens_per_s": p.TokensPerS}
		if !math.IsNaN(validation) {
			values["val_loss"] = validation
		}
		tell(report, wire.Progress{Phase: "train-lm", Done: p.Step, Total: p.Steps, Values: values})
	})
	if err != nil {
		return out, resumable(err, checkpoint)
	}
	if err := m.Save(req.Out); err != nil {
		return out, err
	}
	_ = os.Remove(checkpoint)
	out = wire.TrainLMResponse{Out: req.Out, Loss: lastLosses(losses, cfg.Steps), Steps: cfg.Steps}
	if !math.IsNaN(validation) {
		out.Validation = &validation
	}
	if d.world != nil {
		out.Accuracy, err = accuracies(m, d.world)
	}
	return out, err
}

// lastLosses is the mean over the last tenth of a run, a hundred steps at most, as far
// as these losses go.
func lastLosses(losses []float64, steps int) float64 {
	n := min(len(losses), max(1, min(100, steps/10)))
	sum := 0.0
	for _, l := range losses[len(losses)-n:] {
		sum += l
	}
	return sum / float64(max(1, n))
}

// lmConfig is the recipe that suits the data, under the request's JSON, under its
// fields.
func lmConfig(req wire.TrainLMRequest) (gpt2.TrainConfig, error) {
	cfg := gpt2.DefaultTextConfig()
	switch {
	case req.Model != "":
		cfg = gpt2.DefaultFineTuneConfig()
	case req.World:
		cfg = gpt2.DefaultTrainConfig()
	}
	if len(req.Config) > 0 {
		if err := strictjson.Decode(req.Config, &cfg); err != nil {
			return cfg, fmt.Errorf("engine: train-lm: settings: %w", err)
		}
	}
	setInt(&cfg.Steps, req.Steps)
	setInt(&cfg.Batch, req.Batch)
	setInt(&cfg.Window, req.Context)
	if req.LR != 0 {
		cfg.LR = req.LR
		cfg.MinLR = min(cfg.MinLR, cfg.LR)
	}
	if req.Seed != 0 {
		cfg.Seed = req.Seed
	}
	cfg.Warmup = min(cfg.Warmup, max(1, cfg.Steps/10))
	return cfg, cfg.Validate()
}

// startLM makes the model with its first weights, and its data.
func startLM(ctx context.Context, o opened, req wire.TrainLMRequest, cfg *gpt2.TrainConfig, report func(wire.Progress)) (m *gpt2.Model, d lmText, err error) {
	if req.World == (len(req.Texts) > 0) {
		return nil, d, fmt.Errorf("engine: train-lm: give either the world or texts")
	}
	if req.Model != "" {
		if req.Layers != 0 || req.DModel != 0 || req.Heads != 0 || req.Vocab != 0 {
			return nil, d, fmt.Errorf("engine: train-lm: layers, width, heads and vocabulary are those of the model %s; leave them out", req.Model)
		}
		if m, err = loadModel(o, req.Model, gpt2.LoadOptions{}); err != nil {
			return nil, d, err
		}
		if _, err := m.Encode("x", false); err != nil {
			return nil, d, err
		}
		if req.Context == 0 {
			cfg.Window = min(m.Config.Context, max(cfg.Window, longestWindow))
		}
		d, err = lmData(ctx, req, *cfg, m.Tokenizer, m.Config.BOS, report)
		return m, d, err
	}
	if d, err = lmData(ctx, req, *cfg, nil, -1, report); err != nil {
		return nil, d, err
	}
	shape := pocket.Config(d.tok.Size(), d.tok.EOT())
	setInt(&shape.Layers, req.Layers)
	setInt(&shape.Heads, req.Heads)
	setInt(&shape.Context, req.Context)
	if req.DModel != 0 {
		shape.DModel, shape.DMLP = req.DModel, 4*req.DModel
	}
	if m, err = gpt2.Untrained(o.b, shape, cfg.Seed); err != nil {
		return nil, d, err
	}
	m.Tokenizer = d.tok
	return m, d, nil
}

// lmText is the data of a language model.
type lmText struct {
	gpt2.TrainData
	tok   *tokenizer.Tokenizer
	world *world.World
}

// lmData opens the world or the texts, of which the last twentieth is held out; t
// is nil if a tokenizer is to be trained on them.
func lmData(ctx context.Context, req wire.TrainLMRequest, cfg gpt2.TrainConfig, t *tokenizer.Tokenizer, bos int32, report func(wire.Progress)) (d lmText, err error) {
	if req.World {
		d.world = world.New(pocket.WorldSeed)
		if d.tok = t; t == nil {
			if d.tok, err = pocket.Tokenizer(d.world); err != nil {
				return d, err
			}
		}
		d.Windows, d.Digest = pocket.Windows(d.world, d.tok, cfg.Batch, cfg.Window, cfg.Seed), "world"
		d.Held, err = pocket.Windows(d.world, d.tok, heldWindows/2, cfg.Window, heldOutSeed)(0)
		return d, err
	}
	c, err := OpenCorpus(ctx, req.Texts, report)
	if err != nil {
		return d, err
	}
	if d.tok = t; t == nil {
		vocab := req.Vocab
		if vocab == 0 {
			vocab = 2048
		}
		texts, failed := plainTexts(ctx, c)
		d.tok, err = tokenizer.Train(texts, tokenizer.TrainConfig{VocabSize: vocab})
		if *failed != nil {
			return d, *failed
		}
		if err != nil {
			return d, err
		}
		bos = d.tok.EOT()
	}
	packed, err := packTexts(ctx, d.tok, req.Texts, 0, report)
	if err != nil {
		return d, err
	}
	d.Digest = packed.SHA256[:32]
	train, held := splitTokens(packed.IDs)
	if d.Windows, err = gpt2.Windows(train, bos, cfg.Batch, cfg.Window, cfg.Seed); err != nil {
		return d, err
	}
	// Every held-out window once, in the order of the text, if there are not too many.
	room := cfg.Window
	if bos >= 0 {
		room--
	}
	if n := min(heldWindows, len(held)/room); n > 0 {
		windows, err := gpt2.Windows(held, bos, n, cfg.Window, 0)
		if err != nil {
			return d, err
		}
		d.Held, err = windows(0)
		return d, err
	}
	return d, nil
}

// plainTexts are the texts of a corpus; what goes wrong is found where the pointer
// shows when they have ended.
func plainTexts(ctx context.Context, c *corpus.Corpus) (iter.Seq[string], *error) {
	var failed error
	return func(yield func(string) bool) {
		for t, err := range c.Texts(ctx) {
			if failed = err; err != nil || !yield(t.Text) {
				return
			}
		}
	}, &failed
}
