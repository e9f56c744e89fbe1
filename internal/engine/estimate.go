package engine

import (
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/bench"
)

// timedFLOP is the work from which on the device is measured for an estimate of
// the time; less is done before anyone has read it.
const timedFLOP = 3e13

// usefulShare is the part of a plain matrix product's speed that a step reaches.
const usefulShare = 0.45

// estimate says, before a run starts, what it will take.
func (s *Service) estimate(m *gpt2.Model, cfg clt.Config, tc clt.TrainConfig, window int) error {
	e := clt.EstimateTraining(cfg, tc, modelFLOP(m.Config), m.Backend.HasSharedBuffers()).
		WithKL(cfg, tc, tc.KLBatch*(window-1), modelFLOP(m.Config), m.Config.DVocab)
	s.log("this run: %s", e)
	if e.Work() < timedFLOP {
		return nil
	}
	flops, bytes, err := bench.Device(m.Backend, tc.Compute == clt.ComputeBFloat16)
	if err != nil {
		return err
	}
	s.log("this run: about %v here, at %.0f GFLOP/s for matrix products of which a step uses %.0f %%, and %.0f GB/s; a sparse path takes less",
		e.Time(usefulShare*flops, bytes).Round(time.Second), flops/1e9, 100*usefulShare, bytes/1e9)
	return nil
}

// modelFLOP counts the blocks of a forward pass for one token: their matrices, and
// attention over half a window of 128.
func modelFLOP(c gpt2.Config) float64 {
	return 2*c.BlockProducts() + float64(c.Layers)*4*64*float64(c.DModel)
}
