//go:build !unix

package server

import (
	"errors"
	"net"
)

// ErrRunning means that another engine owns the socket.
var ErrRunning = errors.New("another engine is running there; use it, or stop it first")

func listen(string) (net.Listener, func(), error) {
	return nil, nil, errors.New("engine: notebooks need Linux or macOS; use the command line, which needs no engine")
}
