package main

import (
	"flag"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// dataFlags say how texts become batches; the budget of the cache, in GiB, is returned.
func dataFlags(f *flag.FlagSet, d *wire.TrainData) *float64 {
	f.StringVar(&d.Cache, "cache", "", "`folder` that keeps the activations, for later rounds and runs (default: compute them as they are used)")
	f.StringVar(&d.CacheDType, "cache-dtype", clt.CacheFloat32, "`type` in which it keeps them: "+strings.Join(clt.CacheDTypes(), ", "))
	gib := f.Float64("cache-gib", 20, "how large the cache may be, in `GiB`")
	f.IntVar(&d.CacheTokens, "data-tokens", 0, "go round the first so many tokens, so that a cache holds them once; without it a text that is gone through again is kept again (default: no round)")
	f.IntVar(&d.ShuffleMiB, "shuffle-mib", 0, "`MiB` of the block that is shuffled, two of which are in memory (default: 512, at most 64 batches)")
	f.Uint64Var(&d.DataSeed, "data-seed", 0, "of the order of the data, so that runs of several seeds share a cache (default: -seed)")
	return gib
}

// checkData refuses what cannot be.
func checkData(d *wire.TrainData, gib float64) error {
	if !slices.Contains(clt.CacheDTypes(), d.CacheDType) {
		return badCall("-cache-dtype %s is not known; use %s", d.CacheDType, strings.Join(clt.CacheDTypes(), ", "))
	}
	if !(gib > 0 && gib < 1<<20) {
		return badCall("-cache-gib %g; give a number above 0", gib)
	}
	d.CacheBudget = int64(gib * (1 << 30))
	return nil
}
