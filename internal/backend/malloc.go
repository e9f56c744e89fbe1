//go:build cgo && !noxla && linux && amd64

package backend

/*
#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
static void few_arenas(void) {
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}
#else
static void few_arenas(void) {}
#endif
*/
import "C"

// fewArenas has the C library keep what XLA's compiler has freed in few places and
// give it back: with an arena for each thread it holds on to a hundred megabytes.
func fewArenas() { C.few_arenas() }
