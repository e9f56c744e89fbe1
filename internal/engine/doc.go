// Package engine is what the command, the notebooks and the tests all call: one
// Service with one method per verb, func(ctx, Request, report) (Response, error).
// Requests and responses are the plain types of package wire. The command calls
// the methods in its own process, package server exposes them on a socket, and
// notebooks/lab is the client there. A capability is written once, here or below.
package engine
