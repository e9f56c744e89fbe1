package clt

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// coactivateRows is how many tokens are encoded at once.
const coactivateRows = 512

// Coactivate runs the model on batches of windows until so many tokens are seen,
// position 0 left out, and adds up which features are active together; of pairs
// those with one of the given features, of all if none is given. report (which may
// be nil) gets tokens done.
func Coactivate(ctx context.Context, m *gpt2.Model, t *Transcoder, windows gpt2.TokenSource, tokens int, features []Feature, report func(done int)) (*Coactivation, error) {
	exec, err := graph.NewExec(m.Backend, t.encodersGraph)
	if err != nil {
		return nil, fmt.Errorf("clt: coactivation: %w", err)
	}
	defer exec.Finalize()
	exec.SetMaxCache(-1)
	encoders, err := t.encoderInputs()
	if err != nil {
		return nil, fmt.Errorf("clt: coactivation: %w", err)
	}
	defer finalize(encoders)
	c := NewCoactivation(features...)
	for step := 0; c.Tokens() < tokens; step++ {
		batch, err := windows.Batch(ctx, step)
		if err != nil {
			return nil, err
		}
		b, err := collectBatch(ctx, m, t.Read, batch)
		if err != nil {
			return nil, err
		}
		n := b.Tokens(t.DModel)
		for lo := 0; lo < n && c.Tokens() < tokens; lo += coactivateRows {
			hi := min(lo+coactivateRows, n, lo+tokens-c.Tokens())
			active, err := t.encodeRows(exec, encoders, b, lo, hi)
			if err != nil {
				return nil, fmt.Errorf("clt: coactivation: %w", err)
			}
			c.Add(active, hi-lo)
		}
		if report != nil {
			report(c.Tokens())
		}
	}
	return c, nil
}

// encoderInputs are the inputs of encodersGraph before the reads.
func (t *Transcoder) encoderInputs() ([]*tensors.Tensor, error) {
	var list []*tensors.Tensor
	for _, w := range t.weights() {
		if w.slot != &t.WEnc && w.slot != &t.BEnc && w.slot != &t.Threshold {
			continue
		}
		x, err := newTensor(dtypes.Float32, (*w.slot)[w.layer], w.shape)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

// encodeRows lists the active features of tokens lo to hi-1 of a batch; their
// positions count from lo.
func (t *Transcoder) encodeRows(exec *graph.Exec, encoders []*tensors.Tensor, b Batch, lo, hi int) ([]Activation, error) {
	var args []any
	for _, x := range encoders {
		args = append(args, x)
	}
	var reads []*tensors.Tensor
	for _, v := range b.In {
		x := tensors.FromFlatDataAndDimensions(v[lo*t.DModel:hi*t.DModel], hi-lo, t.DModel)
		args, reads = append(args, x), append(reads, x)
	}
	out, err := exec.Call(args...)
	if err != nil {
		return nil, err
	}
	defer finalize(append(reads, out...))
	var active []Activation
	for l, x := range out {
		dense, err := tensors.CopyFlatData[float32](x)
		if err != nil {
			return nil, err
		}
		active = Sparse(active, l, t.Features, dense)
	}
	return active, nil
}

func finalize(list []*tensors.Tensor) {
	for _, t := range list {
		_ = t.FinalizeAll()
	}
}
