// Package replacement joins a GPT-2 with a cross-layer transcoder: the full
// replacement model, the local replacement model of one prompt, its attribution
// graph, and interventions.
//
// On one prompt, with attention patterns and LayerNorm divisors frozen and each
// MLP output written as what the features decode to plus a constant error, the
// model is linear between features (method: Anthropic 2025, "Circuit Tracing").
// For a target with input vector v at (layer, pos) and a source that writes s,
//
//	edge(target <- source) = Σ_l  <Jᵀ_l v, s_l>
//
// where Jᵀ_l v is the target's vector carried back through residual stream and
// attention to the MLP output of layer l. One top-down sweep carries a batch of
// targets back through all layers. Every constant of the model is in the bias
// node, so that each row of the graph adds up to the target's value; Attribute
// checks this on every graph that it makes.
//
// Position 0 holds <|endoftext|>, whose MLP outputs are huge and whose features
// are an artefact: it has no features, and its MLP outputs are error nodes. The
// full replacement model leaves it alone.
package replacement
