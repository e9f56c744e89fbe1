// Package bench times the main work of the project and holds it against what the
// machine can do: each row has the share of the speed of a plain matrix product
// that was measured on the same backend right before and after it, because the
// speed of a shared machine changes from minute to minute.
//
// GFLOP are those of the method, a multiplication and an addition counted as two:
// causal masks are not subtracted, memory traffic, softmax and LayerNorm are not
// counted.
package bench
