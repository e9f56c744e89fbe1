// Package server runs verbs for clients on the same machine: HTTP with JSON over a Unix socket in a private folder,
// progress as JSON lines, cancelled by closing the request. It knows no models; the verbs come in a Table.
//
// A server ends with the process it watches (on Linux within milliseconds, even if that process was killed and stays a
// zombie), after an idle time, when told to stop, or with its context. One server has one socket: a lock beside it tells a
// running server from a socket that a dead one left.
package server
