// Package lab is the one package that notebook cells import. It is the client of the engine, a process that keeps models,
// transcoders and graphs while cells, each a program of its own, come and go.
//
//	import "github.com/etredal/cross-layer-transcoder/notebooks/lab"
//	%%
//	s := lab.Open()
//
// The first Open of a kernel starts the engine, which ends with the kernel. The stop button cancels the running call and
// leaves the engine alone. A call that fails shows one red line, what went wrong and what to do, and ends the cell with a
// non-zero status, so that Run All stops there.
//
// Outside a notebook the same program runs with go run: results are printed, pictures go to files under out, and the engine
// ends after half an hour without calls, or with Session.Stop.
package lab
