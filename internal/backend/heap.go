package backend

import "runtime/debug"

// leanGarbage is how much garbage may pile up once a model is large, in bytes.
const leanGarbage = 48 << 20

// LeanHeap keeps the garbage collector close behind the arrays of a model of so many
// bytes. They hold no pointers, so that collecting costs little, while the default
// lets garbage grow as large as the model.
func LeanHeap(bytes int) {
	if bytes >= 64<<20 {
		debug.SetGCPercent(min(20, max(5, leanGarbage*100/bytes)))
	}
}
