// Package clt is the cross-layer transcoder (CLT): a sparse, interpretable
// stand-in for the MLPs of a transformer (Ameisen et al. 2025, "Circuit
// Tracing"). Every layer has an encoder that reads the residual stream into
// features; a feature of layer s writes to the MLP outputs of layers s and later:
//
//	h[l] = W_enc[l]·x[l] + b_enc[l]
//	a[l] = φ(h[l])                              φ: JumpReLU, ReLU, TopK or BatchTopK
//	ŷ[t] = Σ_{s≤t} a[s]·W_dec[s→t] + b_dec[t]    (+ x[t]·W_skip[t])
//
// x[l] is what the encoder of layer l reads (Config.Read, by default the input of
// the MLP) and y[l] the output of the MLP. A per-layer transcoder (PLT) has the
// decoders s = t alone.
//
// Training minimises, as a mean over tokens and in a space where x and y have a
// mean norm of sqrt(d_model),
//
//	Σ_l ‖ŷ[l] - y[l]‖²  +  λ·Σ_{l,f} tanh(c·a[l,f]·ν[l,f])  +  λ_P·Σ_dead relu(θ - h)·ν
//
// where ν[l,f] is the norm of all decoder vectors of a feature together. The
// scales are folded into the weights at the end: a Transcoder reads and writes
// raw activations.
//
// Shapes: layer L, d_model d, features per layer F, tokens n; tensors of
// activations are [n, d] or [n, F] per layer, row-major. Position 0 of a prompt
// is never in a loss, a scale or a metric.
//
// Files that touch graph nodes panic with error values, which Exec.Call returns;
// all others return errors.
package clt
