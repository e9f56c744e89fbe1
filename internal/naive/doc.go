// Package naive is the mathematics of the other packages once more, in plain
// loops over float64, with no tensor library and no cleverness: the oracle that
// their [graph] functions are tested against.
//
// It has a GPT-2 whose activations pass through a hook and end in a map, a
// cross-layer transcoder, and the local replacement model of one prompt with its
// attribution rows, computed by transposes that are written out. Arrays are flat
// and row-major, without a batch axis; shapes stand beside them:
//
//	T tokens   L layers   d width   H heads   F features a layer   V vocabulary
package naive
