package main

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

// runFlags are the flags of train that a settings file may hold beside the settings
// of clt.TrainConfig, so that one file is a whole run. Dashes may be underscores.
var runFlags = []string{"model", "backend", "texts", "world", "o", "features", "activation", "k", "per-layer", "skip", "read"}

// configFile sets the flags that a settings file holds and the command line does
// not, and returns the other settings, checked.
func configFile(c *call, f *flag.FlagSet, file string) (map[string]json.RawMessage, error) {
	settings := map[string]json.RawMessage{}
	if file == "" {
		return settings, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, badCall("-config: %w; check the path", err)
	}
	if err := strictjson.Unmarshal(data, 1, &settings); err != nil {
		return nil, badCall("-config %s: %w; give one JSON object", file, err)
	}
	keys := slices.Concat(strictjson.Keys(clt.TrainConfig{}), runFlags)
	for _, key := range strictjson.Names(data) {
		value, name := settings[key], strings.ReplaceAll(key, "_", "-")
		if !slices.Contains(runFlags, name) {
			if err := strictjson.Known(key, keys); err != nil {
				return nil, badCall("-config %s: %w", file, err)
			}
		}
		if !slices.Contains(runFlags, name) {
			continue
		}
		delete(settings, key)
		if c.given[name] || name == "texts" && c.given["world"] || name == "world" && (c.given["texts"] || len(c.args) > 0) {
			continue
		}
		var list []any
		if json.Unmarshal(value, &list) != nil {
			list = []any{json.RawMessage(value)}
		}
		for _, v := range list {
			text, err := json.Marshal(v)
			if err != nil {
				return nil, badCall("-config %s: %s: %w", file, key, err)
			}
			var word string
			if json.Unmarshal(text, &word) != nil {
				word = string(text)
			}
			if err := f.Set(name, word); err != nil {
				return nil, badCall("-config %s: %s is %s: %w; see clt train -h", file, key, value, err)
			}
		}
		c.given[name] = true
	}
	rest, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	known := clt.DefaultTrainConfig()
	if err := json.Unmarshal(rest, &known); err != nil {
		return nil, badCall("-config %s: %w; mend the value", file, err)
	}
	return settings, nil
}

// trainSettings puts numbers that are given on the command line over those of the
// file, and leaves all others to the engine. Zero means "not given" on the wire,
// so a zero that is given goes into the settings.
func trainSettings(c *call, req *wire.TrainRequest, settings map[string]json.RawMessage) error {
	put := func(flagName, key string, v any) {
		if c.given[flagName] {
			settings[key], _ = json.Marshal(v)
		}
	}
	put("lambda", "lambda", req.Lambda)
	put("c", "tanh_scale", req.C)
	put("batch", "batch", req.Batch)
	put("steps", "steps", req.Steps)
	put("lr", "lr", req.LR)
	put("seed", "seed", req.Seed)
	req.Lambda, req.C, req.Batch, req.Steps, req.LR, req.Seed = 0, 0, 0, 0, 0, 0
	if !c.given["features"] {
		req.Features = 0
	}
	if !c.given["k"] {
		req.K = 0
	}
	if len(settings) == 0 {
		return nil
	}
	var err error
	if req.Config, err = json.Marshal(settings); err != nil {
		return err
	}
	tc := clt.DefaultTrainConfig()
	if err := json.Unmarshal(req.Config, &tc); err != nil {
		return usageError{err}
	}
	tc.Warmup, tc.TargetDir = min(tc.Warmup, tc.Steps), req.Out
	if err := tc.Validate(); err != nil {
		return usageError{err}
	}
	return nil
}
