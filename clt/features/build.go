package features

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Progress says how far a build is.
type Progress struct {
	Phase       string // "features": tokens; "logits": layers
	Done, Total int    // Total is 0 where it is not known
}

// Summary is what a build found.
type Summary struct {
	Tokens   int `json:"tokens"`
	Windows  int `json:"windows"`
	Features int `json:"features"`
	Dead     int `json:"dead"` // never active on those tokens
	Bytes    int `json:"bytes"`
}

// Build makes the store of a transcoder in a folder from windows of text, which the
// source hands out by step, in order, until it returns none or io.EOF. Without a
// hash of the corpus that of the first step is taken. A pass that ctx interrupts
// leaves dir.pass, from which the same call goes on; a folder that is there already
// is replaced at the end, its labels are kept.
func Build(ctx context.Context, m *gpt2.Model, t *clt.Transcoder, id Origin, source gpt2.TokenSource, cfg Config, dir string, report func(Progress)) (*Summary, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if t.Layers != m.Config.Layers || t.DModel != m.Config.DModel {
		return nil, fmt.Errorf("features: the transcoder is for %d layers of width %d, %s has %d of %d; give the one of this model", t.Layers, t.DModel, m.Name, m.Config.Layers, m.Config.DModel)
	}
	if report == nil {
		report = func(Progress) {}
	}
	p, err := newPass(m, t, id, source, cfg, dir)
	if err != nil {
		return nil, err
	}
	defer p.free()
	if err := p.run(ctx, report); err != nil {
		return nil, err
	}
	return p.write(ctx, m, t, dir, report)
}

// pass is one walk over the corpus.
type pass struct {
	source   gpt2.TokenSource
	exec     *model.Exec
	encoders []*tensors.Tensor
	c        *collector
	header   passHeader
	path     string // of the checkpoint; "" for none
}

func newPass(m *gpt2.Model, t *clt.Transcoder, id Origin, source gpt2.TokenSource, cfg Config, dir string) (*pass, error) {
	first, err := readStep(source, 0)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, fmt.Errorf("features: the texts are empty; give some text")
	}
	h := passHeader{Origin: id, Config: cfg, Rows: len(first), Backend: m.Backend.Name()}
	for _, w := range first {
		h.Length = max(h.Length, len(w))
	}
	if h.Origin.Corpus.SHA256 == "" {
		h.Origin.Corpus.SHA256 = hashWindows(first)
	}
	p := &pass{source: source, c: newCollector(cfg, t.Config, m.Config.DVocab), header: h}
	if dir != "" {
		p.path = dir + ".pass"
		if _, err := p.c.load(p.path, h); err != nil {
			return nil, err
		}
	}
	if p.exec, err = gpt2.Compiled(m, fmt.Sprintf("features|%+v", t.Config), encodeGraph(m.Config, t.Config)); err != nil {
		return nil, err
	}
	for l := range t.Layers {
		p.encoders = append(p.encoders, tensors.FromFlatDataAndDimensions(t.WEnc[l], t.Features, t.DModel), tensors.FromFlatDataAndDimensions(t.BEnc[l], t.Features))
		if t.HasThreshold() {
			p.encoders = append(p.encoders, tensors.FromFlatDataAndDimensions(t.Threshold[l], t.Features))
		}
	}
	return p, nil
}

func readStep(source gpt2.TokenSource, step int) ([][]int32, error) {
	windows, err := source(step)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return windows, err
}

func (p *pass) free() {
	for _, t := range p.encoders {
		_ = t.FinalizeAll()
	}
}

// encoded is one batch on its way from the model to the collector.
type encoded struct {
	windows [][]int32
	out     []*tensors.Tensor
}

// run walks over the corpus. The model is one batch ahead of the counting.
func (p *pass) run(ctx context.Context, report func(Progress)) error {
	queue, done := make(chan encoded), make(chan error, 1)
	go func() { done <- p.count(queue, report) }()
	err := p.produce(ctx, queue, done)
	close(queue)
	counting := <-done
	if counting != nil {
		return counting
	}
	if err != nil && p.c.steps > 0 && p.path != "" { // nothing that was seen is lost
		if serr := p.c.save(p.path, p.header); serr != nil {
			return serr
		}
	}
	return err
}

// errCounting says that the other side failed and knows why.
var errCounting = errors.New("features: counting failed")

func (p *pass) produce(ctx context.Context, queue chan<- encoded, done chan error) error {
	planned := p.c.tokens
	for step := p.c.steps; ; step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if limit := p.header.Config.Tokens; limit > 0 && planned >= uint64(limit) {
			return nil
		}
		windows, err := readStep(p.source, step)
		if err != nil || len(windows) == 0 {
			return err
		}
		for _, w := range windows {
			planned += uint64(max(0, len(w)-1))
		}
		out, err := p.encode(windows)
		if err != nil {
			return err
		}
		select {
		case queue <- encoded{windows, out}:
		case err := <-done:
			done <- err
			finalize(out)
			return errCounting
		}
	}
}

// encode runs the model on windows, padded to the shape of the first batch.
func (p *pass) encode(windows [][]int32) ([]*tensors.Tensor, error) {
	h := p.header
	if len(windows) > h.Rows {
		return nil, fmt.Errorf("features: a step of %d windows after one of %d; steps may only get smaller", len(windows), h.Rows)
	}
	flat := make([]int32, h.Rows*h.Length)
	for i, w := range windows {
		if len(w) > h.Length {
			return nil, fmt.Errorf("features: a window of %d tokens, the first have %d; windows may only get shorter", len(w), h.Length)
		}
		copy(flat[i*h.Length:], w)
	}
	tokens := tensors.FromFlatDataAndDimensions(flat, h.Rows, h.Length)
	args := []any{tokens}
	for _, e := range p.encoders {
		args = append(args, e)
	}
	out, err := p.exec.Call(args...)
	_ = tokens.FinalizeAll()
	if err != nil {
		return nil, fmt.Errorf("features: encode: %w", err)
	}
	return out, nil
}

func finalize(list []*tensors.Tensor) {
	for _, t := range list {
		_ = t.FinalizeAll()
	}
}

// count takes the batches in order.
func (p *pass) count(queue <-chan encoded, report func(Progress)) error {
	saved := p.c.tokens
	for e := range queue {
		b := batch{windows: e.windows, length: p.header.Length}
		err := flatData(e.out, &b, func() error { return p.c.add(b) })
		finalize(e.out)
		if err != nil {
			return err
		}
		report(Progress{"features", int(p.c.tokens), p.c.cfg.Tokens})
		if p.path != "" && p.c.tokens-saved >= uint64(p.c.cfg.CheckpointTokens) {
			saved = p.c.tokens
			if err := p.c.save(p.path, p.header); err != nil {
				return err
			}
		}
	}
	return nil
}

// flatData calls work while the activations of all layers can be read in place.
func flatData(out []*tensors.Tensor, b *batch, work func() error) error {
	if len(b.dense) == len(out) {
		return work()
	}
	var inner error
	err := tensors.ConstFlatData(out[len(b.dense)], func(flat []float32) {
		b.dense = append(b.dense, flat)
		inner = flatData(out, b, work)
	})
	if inner != nil {
		return inner
	}
	return err
}
