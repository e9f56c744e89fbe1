package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// Tensors writes weights of the model and the transcoder to a file, whole or some
// of their rows, for those who want to do a sum by hand.
func (s *Service) Tensors(ctx context.Context, req wire.TensorsRequest, report func(wire.Progress)) (out wire.TensorsResponse, err error) {
	if len(req.Names) == 0 || req.Out == "" {
		return out, fmt.Errorf("engine: tensors: %d names, file %q; name the weights and a file", len(req.Names), req.Out)
	}
	r, _, err := s.join(req.Setup)
	if err != nil {
		return out, err
	}
	out = wire.TensorsResponse{Out: req.Out, Shape: map[string][]int{}}
	var list []safetensors.Tensor
	for _, name := range req.Names {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		a, ok := transcoderTensor(r.CLT, name)
		if !ok {
			if a, err = r.LM.Weight(name); err != nil {
				return out, fmt.Errorf("engine: tensors: %w; the transcoder's are W_enc_L, b_enc_L, threshold_L, W_dec_L and b_dec_L for L in 0..%d", err, r.CLT.Layers-1)
			}
		}
		if a, err = rowsOf(name, a, req.Rows); err != nil {
			return out, err
		}
		out.Shape[name] = a.Shape
		list = append(list, tensor(name, a))
	}
	return out, safetensors.WriteFile(req.Out, map[string]string{"model": r.LM.SHA256, "clt": r.ID.SHA256}, list...)
}

// transcoderTensor is a weight of the transcoder by the name that its files use.
func transcoderTensor(t *clt.Transcoder, name string) (gpt2.Array, bool) {
	i := strings.LastIndexByte(name, '_')
	layer, err := strconv.Atoi(name[i+1:])
	if i < 0 || err != nil || layer < 0 || layer >= t.Layers {
		return gpt2.Array{}, false
	}
	list, shape := t.WEnc, []int{t.Features, t.DModel}
	switch name[:i] {
	case "W_enc":
	case "b_enc":
		list, shape = t.BEnc, []int{t.Features}
	case "threshold":
		list, shape = t.Threshold, []int{t.Features}
	case "W_dec":
		list, shape = t.WDec, []int{t.Features, t.Targets(layer), t.DModel}
	case "b_dec":
		list, shape = t.BDec, []int{t.DModel}
	default:
		return gpt2.Array{}, false
	}
	if list == nil { // no thresholds
		return gpt2.Array{}, false
	}
	return gpt2.Array{Shape: shape, F32: list[layer]}, true
}

// rowsOf picks rows of the first axis.
func rowsOf(name string, a gpt2.Array, rows []int) (gpt2.Array, error) {
	if len(rows) == 0 {
		return a, nil
	}
	size := a.Len() / a.Shape[0]
	b := gpt2.Array{Shape: append([]int{len(rows)}, a.Shape[1:]...)}
	for _, r := range rows {
		if r < 0 || r >= a.Shape[0] {
			return b, fmt.Errorf("engine: tensors: row %d of %s, which has %d", r, name, a.Shape[0])
		}
		if a.F64 != nil {
			b.F64 = append(b.F64, a.F64[r*size:(r+1)*size]...)
		} else {
			b.F32 = append(b.F32, a.F32[r*size:(r+1)*size]...)
		}
	}
	return b, nil
}
