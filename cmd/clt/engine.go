package main

import (
	"flag"

	"github.com/etredal/cross-layer-transcoder/internal/engine/server"
)

func engineVerb(f *flag.FlagSet) func(c *call) error {
	var cfg server.Config
	f.StringVar(&cfg.Socket, "socket", "", "`path` of the Unix socket; its folder must be yours alone")
	f.IntVar(&cfg.Watch, "watch", 0, "`process` to end with; 0 for none")
	f.DurationVar(&cfg.Idle, "idle", 0, "end after so long without a call; 0 for never")
	return func(c *call) error {
		switch {
		case cfg.Socket == "":
			return badCall("no socket; give -socket PATH")
		case cfg.Watch < 0:
			return badCall("-watch %d; give a process id", cfg.Watch)
		case cfg.Idle < 0:
			return badCall("-idle %v; give 0 or more", cfg.Idle)
		}
		cfg.Log = c.err
		return server.Serve(c.ctx, cfg, c.service().Verbs())
	}
}
