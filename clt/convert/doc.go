// Package convert reads transcoders that other projects saved, in their own file
// layouts, into a clt.Transcoder: scales of training folded in, matrices turned
// the way ours lie, one bias per target layer. What cannot be said in that form
// is refused, never left out.
//
// Dimensions: L layers, d = d_model, N features per layer; s a source layer, t a
// target layer. "→" is what Open makes of it.
//
//	circuit-tracer     W_enc_l, W_dec_l or layer_l .safetensors with config.yaml; see clt.Load
//	clt-forge          clt_weights.safetensors, or rank r_clt_weights.safetensors cut along N, with clt_cfg.json:
//	                   W_enc [L, d, N] → ᵀ·scale_in[l]; W_dec [L(L+1)/2, N, d] by (s, t) → /scale_out[t];
//	                   b_dec summed over sources, /scale_out[t]; threshold = exp(log_threshold)
//	crosslayer-coding  model.safetensors or clt_checkpoint_N.safetensors with cfg.json and norm_stats.json:
//	                   encoders [N, d] → W/σ_in, b − W·(μ_in/σ_in); decoders [d, N] → ᵀ·σ_out; biases summed, ·σ_out + μ_out
//	sparsify           a folder h.l.mlp for each layer with cfg.json and sae.safetensors (EleutherAI sparsify and clt-training)
//	gpt2-sweep         encoder_layer_l and decoder_layer_l .safetensors with W_dec_from_s [d, N] by target; or layer_l with W_dec [d, N]
//	saelens            a folder for each layer with cfg.json and sae_weights.safetensors: W_enc [d, N] → ᵀ
//	bytedance          W_enc_l and W_dec_l .safetensors without biases, with config.json {d_feature, k}: top-k over all layers
//
// Pickles (.pt, .bin) can run code when they are read, so they are not.
package convert
