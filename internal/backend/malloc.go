//go:build cgo && !noxla && linux && amd64

package backend

/*
#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
static void few_arenas(void) {
	mallopt(M_ARENA_MAX, 2);
}
#else
static void few_arenas(void) {}
#endif
*/
import "C"

// fewArenas has the C library keep what XLA's compiler has freed in few places: with
// an arena for each thread it holds on to a hundred megabytes. The threshold from which
// memory goes back to the system stays its own affair: set by hand, every large buffer
// is mapped anew.
func fewArenas() { C.few_arenas() }
