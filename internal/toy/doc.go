// Package toy has small models whose circuits are known. Circuits is one table of
// hand-wired GPT-2s with compiled transcoders, the prompt, the features that must
// be active and every edge, computed by hand; each row says why. RandomModel and
// RandomCLT draw models in which nothing is zero, for identities that must hold
// everywhere.
//
// Hand-wired models compute exactly with GPT-2's own parts. Each logical direction
// j is the pair of dimensions (2j, 2j+1) = (+1, -1), so that every mean is zero and
// LayerNorm only divides. MLP neurons work at pre-activations of 0 or beyond ±8,
// where the tanh of GELU has saturated in float64, so that GELU is ReLU and a
// transcoder whose encoders are the MLP's input weights decodes it without error.
package toy
