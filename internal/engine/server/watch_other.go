//go:build !linux

package server

import "context"

func waitExit(ctx context.Context, pid int) { pollExit(ctx, pid) }
