package features

import (
	"context"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Walk goes over the corpus as Build does and writes nothing: it is how the pass is
// timed. Without count it stops behind the encoder, which is the speed to compare
// with.
func Walk(ctx context.Context, m *gpt2.Model, t *clt.Transcoder, source gpt2.TokenSource, cfg Config, count bool) (tokens int, err error) {
	if err := cfg.Validate(); err != nil {
		return 0, err
	}
	p, err := newPass(m, t, Origin{}, source, cfg, "")
	if err != nil {
		return 0, err
	}
	defer p.free()
	if count {
		err = p.run(ctx, func(Progress) {})
		return int(p.c.tokens), err
	}
	for step := 0; ; step++ {
		windows, err := readStep(source, step)
		if err != nil || len(windows) == 0 || ctx.Err() != nil {
			return tokens, err
		}
		out, err := p.encode(windows)
		if err != nil {
			return tokens, err
		}
		finalize(out)
		for _, w := range windows {
			tokens += max(0, len(w)-1)
		}
	}
}
