// Package attribution holds the attribution graph of one prompt: its type, its
// files, and everything that can be said about it without a model. It imports
// the standard library alone, so a saved graph is pruned, scored, compared and
// drawn on a machine that has neither weights nor a compute backend.
//
// # The graph
//
// A node is a feature that is active at one position, the error of one layer's
// MLP reconstruction at one position, the embedding of a token, the embedding
// of a position, the bias (all constants of the frozen model), or a target: a
// logit minus the mean logit, or another direction at the output. An edge goes
// from source to target, earlier to later, and is stored in row = target,
// column = source:
//
//	A[t][s] = a_s · dh_t/da_s      in the local replacement model (attention
//	                               patterns and LayerNorm scales frozen)
//	h_t     = sum_s A[t][s]        every row adds up: CheckRows
//
// Only features and logits have rows; only logits have no column.
//
// # Influence
//
//	share[t][s] = |A[t][s]| / sum_s' |A[t][s']|      the bias column left out
//	I           = p·share + p·share² + …              p: probability of the logits
//
// The graph is acyclic, so one pass from the targets down gives I exactly. The
// bias column is kept out of the shares: a constant explains nothing, and peers
// have no such node. Without position and bias nodes all numbers equal those of
// circuit-tracer.
//
// # Legend
//
//	Graph        nodes, dense weights, prompt, settings
//	Kept         what pruning keeps, as masks and edge lists
//	Score        replacement, completeness, path length, row identity
//	Path         a chain of edges from an input to a target
//	Group        a supernode: nodes that play one role
//	View         what a saved picture adds to a graph: pins, groups, names
//
// Sources: Ameisen et al., "Circuit Tracing" (2025), sections on attribution
// graphs and pruning; circuit-tracer v0.5.0 for the order of pruning steps and
// for the JSON that WriteJSON and ReadJSON exchange.
package attribution
