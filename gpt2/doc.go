// Package gpt2 is the model under study: GPT-2 in GoMLX, with every activation
// named, readable and replaceable.
//
// For token ids t at positions p, with residual stream x of width d_model:
//
//	x = wte[t] + wpe[p]                              hook_embed + hook_pos_embed
//	for each block:
//	    x += Attn(LN1(x))                            hook_resid_pre -> hook_resid_mid
//	    x += W_proj · gelu(W_fc · LN2(x) + b) + b    hook_resid_mid -> hook_resid_post
//	logits = LN_f(x) · wteᵀ
//
// with LN(x) = (x - mean(x)) / sqrt(var(x) + eps) · gain + bias, causal softmax
// attention with scores q·k/sqrt(d_head), and GELU in its tanh form.
//
// Shape legend: batch, pos (query or key for the two axes of a pattern), head,
// d_model, d_head, d_mlp, d_vocab. Tensors keep the names and the layout of
// Hugging Face checkpoints, without the "transformer." prefix: c_attn, c_fc and
// c_proj are [in, out], wte and lm_head are [d_vocab, d_model].
//
// There is one forward pass (Forward) and one hook type (Hook).
// Caching, freezing, replacement and intervention are hooks on it, and generation is
// the same pass on a KV cache.
// Files that build graphs panic with error values; everything exported for the
// host returns errors.
package gpt2
