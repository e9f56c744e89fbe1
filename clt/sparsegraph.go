package clt

import . "github.com/gomlx/gomlx/core/graph"

// encodeGraph takes reads by layer [tokens, d_model], then encoders by layer
// [features, d_model], and returns their products by layer [tokens, features].
func (s *sparse) encodeGraph(in []*Node) []*Node {
	out := make([]*Node, s.cfg.Layers)
	for l := range out {
		out[l] = DotGeneral(in[l], []int{1}, nil, in[s.cfg.Layers+l], []int{1}, nil)
	}
	return out
}

// backGraph takes the gradient of the outputs [tokens, layers·d_model] and the
// decoders by layer [features, targets, d_model], and returns the gradient of the
// activations by layer [tokens, features]: one product for a layer and all its
// targets.
func (s *sparse) backGraph(in []*Node) []*Node {
	out := make([]*Node, s.cfg.Layers)
	for l := range out {
		width := s.cfg.Targets(l) * s.cfg.DModel
		grad := SliceAxis(in[0], 1, AxisRange(l*s.cfg.DModel, l*s.cfg.DModel+width))
		out[l] = DotGeneral(grad, []int{1}, nil, Reshape(in[1+l], s.cfg.Features, width), []int{1}, nil)
	}
	return out
}
