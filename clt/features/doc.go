// Package features says what the features of a transcoder mean. Build makes one pass
// over texts and writes a store: for every feature the examples on which it is most
// active, examples by interval of its activation, a histogram, its density, the
// features that are active with it, and from the weights what it writes (decoder
// norms and logits, by layer and in all) and what it reads (token embeddings, raw
// and after the first MLP).
//
// Words and numbers:
//
//	density     tokens on which a feature is active / tokens seen; position 0 is in neither
//	histogram   64 bins of equal width, a power of two; zero is in none
//	top         logits relative to their mean over the vocabulary, up to the divisor of
//	            ln_f: U·(gain ⊙ centre(Σ_l W_dec[s→l])) (Anthropic 2025, "Circuit Tracing")
//	embed       tokens by <embedding, r>, r the feature's encoder brought to the residual
//	            stream, see clt.Transcoder.ReadVector; raw is wte[v], extended is
//	            (wte[v] + mlp_0(ln_2(wte[v])))/σ, with the divisor σ of the layer's own ln_2
//	            where encoders read behind it. With tied weights the raw list can mislead.
//	coactive    counts of a Space-Saving sketch (Metwally et al. 2005): never too high, and
//	            too low by at most 1/Sketch of all pairs of the feature
//
// The pass holds at most Config.Bytes of memory whatever the size of the corpus. It
// is deterministic: ties go to what stands earlier in the corpus, and examples of an
// interval are drawn by a hash of their place. A pass that was interrupted goes on
// from its checkpoint and ends with the same bytes.
//
// The store is a folder in the packed layout that circuit-tracer's viewer reads
// (index.json.gz, layer_N.bin), with what that layout lacks beside it (store.json,
// side_N.bin, search.json.gz, vocabulary). Names that people give stand in
// labels.json and outlive a rebuild.
package features
