package bench

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	benchmarks "github.com/janpfeifer/go-benchmarks"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

// Quantiles times the small operations of the host side, each for two seconds, and
// prints their mean, median and quantiles as a table of go-benchmarks, which
// writes to standard output by itself.
func Quantiles() {
	var fns []benchmarks.NamedFunction
	add := func(name string, f func()) { fns = append(fns, benchmarks.NamedFunction{Name: name, Func: f}) }
	text := strings.Repeat("The war lasted from the year 1711 to the year 1748, and nobody remembered why. ", 13)
	t := tokenizer.GPT2()
	ids := t.Encode(text)
	add(fmt.Sprintf("encode %d bytes", len(text)), func() { t.Encode(text) })
	add(fmt.Sprintf("decode %d tokens", len(ids)), func() { t.Decode(ids) })
	for _, n := range []int{500, 2000} {
		g := randomGraph(n)
		add(fmt.Sprintf("prune %d nodes", n), func() { _, _ = g.Prune(attribution.DefaultPruneConfig()) })
		add(fmt.Sprintf("score %d nodes", n), func() { g.Score() })
		add(fmt.Sprintf("write %d nodes", n), func() { _ = attribution.WriteSafetensors(io.Discard, g) })
		var b bytes.Buffer
		if err := attribution.WriteSafetensors(&b, g); err == nil {
			data := b.Bytes()
			add(fmt.Sprintf("read %d nodes", n), func() { _, _ = attribution.ReadSafetensors(bytes.NewReader(data), int64(len(data))) })
		}
	}
	benchmarks.New(fns...).WithDuration(2 * time.Second).Done()
}
