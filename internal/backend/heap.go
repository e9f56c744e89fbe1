package backend

import "runtime/debug"

// leanHeap is how much garbage may pile up, in percent of what is alive, once a
// model is large.
const leanHeap = 20

// LeanHeap keeps the garbage collector close behind the arrays of a model of so many
// bytes. They hold no pointers, so that collecting costs little, while the default
// lets garbage grow as large as the model.
func LeanHeap(bytes int) {
	if bytes >= 64<<20 {
		debug.SetGCPercent(leanHeap)
	}
}
