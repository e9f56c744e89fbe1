package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// sweepFile says what a finished run of a sweep was, so that a sweep which was
// interrupted does not train it again.
const sweepFile = "sweep-run.json"

// Sweep trains one transcoder for each value of λ or k, in folders of their own,
// one after the other. Runs that an earlier call with the same settings finished are
// read back; one that was interrupted goes on from its checkpoint.
func (s *Service) Sweep(ctx context.Context, req wire.SweepRequest, report func(wire.Progress)) (out wire.SweepResponse, err error) {
	if (len(req.Lambdas) == 0) == (len(req.Ks) == 0) {
		return out, fmt.Errorf("engine: sweep: %d values of lambda and %d of k; give some of one", len(req.Lambdas), len(req.Ks))
	}
	if takes := clt.TakesK(req.Train.Activation); takes != (len(req.Ks) > 0) {
		return out, fmt.Errorf("engine: sweep: activation %s does not go with it; sweep k for topk, tokentopk and batchtopk, lambda for the others", req.Train.Activation)
	}
	if req.Train.Out == "" {
		return out, fmt.Errorf("engine: sweep: no output folder; give one")
	}
	out.Over = "lambda"
	values := req.Lambdas
	for _, k := range req.Ks {
		out.Over, values = "k", append(values, float64(k))
	}
	for i, v := range values {
		run := req.Train
		run.Resume = true
		run.Out = filepath.Join(req.Train.Out, fmt.Sprintf("%s-%g", out.Over, v))
		if out.Over == "k" {
			run.K = int(v)
		} else {
			run.Lambda = v
		}
		m, err := s.sweepRun(ctx, run, func(p wire.Progress) {
			p.Message = fmt.Sprintf("%s %g, %d of %d", out.Over, v, i+1, len(values))
			tell(report, p)
		})
		if err != nil {
			return out, fmt.Errorf("engine: sweep: %s %g: %w", out.Over, v, err)
		}
		out.Runs = append(out.Runs, wire.SweepRun{Value: v, Out: run.Out, Metrics: m})
	}
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return out, err
	}
	return out, writeFile(filepath.Join(req.Train.Out, "sweep.json"), append(data, '\n'))
}

// sweepRun is one run, or what is left of it.
func (s *Service) sweepRun(ctx context.Context, run wire.TrainRequest, report func(wire.Progress)) (*wire.Evaluation, error) {
	asked, err := json.Marshal(run)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(run.Out, sweepFile)
	if data, err := os.ReadFile(file); err == nil {
		var done struct {
			Request json.RawMessage  `json:"request"`
			Metrics *wire.Evaluation `json:"metrics"`
		}
		if json.Unmarshal(data, &done) == nil && done.Metrics != nil && string(done.Request) == string(asked) {
			return done.Metrics, nil
		}
		return nil, fmt.Errorf("%s holds a run with other settings; use another output folder", run.Out)
	}
	res, err := s.Train(ctx, run, report)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(map[string]any{"request": json.RawMessage(asked), "metrics": res.Metrics})
	if err != nil {
		return nil, err
	}
	return res.Metrics, writeFile(file, append(data, '\n'))
}
