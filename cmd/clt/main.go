package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/etredal/cross-layer-transcoder/internal/backend"
	"github.com/etredal/cross-layer-transcoder/internal/engine/server"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "engine" {
		fmt.Println("stub")
		return
	}
	fs := flag.NewFlagSet("engine", flag.ExitOnError)
	cfg := server.Config{Log: os.Stderr}
	fs.StringVar(&cfg.Socket, "socket", "", "")
	fs.IntVar(&cfg.Watch, "watch", 0, "")
	fs.DurationVar(&cfg.Idle, "idle", 0, "")
	fs.Parse(os.Args[2:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Serve(ctx, cfg, server.Table{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
