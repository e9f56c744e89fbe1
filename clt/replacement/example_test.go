package replacement_test

import (
	"context"
	"fmt"
	"log"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/backend"
)

// A prompt's attribution graph, its proof, and an intervention that the graph
// predicts.
func Example() {
	b, _, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	lm, err := gpt2.Load(b, "../../gpt2/testdata/tiny2", gpt2.LoadOptions{Double: true})
	if err != nil {
		log.Fatal(err)
	}
	t, err := clt.Load("testdata/clt_relu_resid_mid/transcoder")
	if err != nil {
		log.Fatal(err)
	}
	m, err := replacement.New(lm, t, attribution.Artifact{Name: "example"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	local, err := m.Localize([]int32{96, 23, 43, 4, 79, 94, 33})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	g, err := local.Attribute(ctx, replacement.DefaultAttributeConfig(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.Count(attribution.Feature), "active features; rows add up:", g.Settings.RowIdentity < 1e-10)

	// Turn one feature round: the change of the top logit is its edge, twice.
	f := local.Active[len(local.Active)-1]
	edit := replacement.Edit{Feature: f.Feature, Pos: f.Pos, Scale: true, Factor: -1}
	after, err := local.Intervene(ctx, m.DefaultInterveneConfig(), edit)
	if err != nil {
		log.Fatal(err)
	}
	predicted, err := local.DirectEffects(ctx, local.TopTargets(1, 1), []replacement.Edit{edit})
	if err != nil {
		log.Fatal(err)
	}
	// What the row explains is the logit relative to the mean logit.
	centred := func(a gpt2.Array, id int32) float64 {
		v := a.Shape[1]
		row := a.F64[len(a.F64)-v:]
		mean := 0.0
		for _, x := range row {
			mean += x / float64(v)
		}
		return row[id] - mean
	}
	top := local.TopTargets(1, 1)[0].Tokens[0].ID
	measured := centred(after.Logits, top) - centred(local.Logits, top)
	fmt.Printf("predicted %.6f, measured %.6f\n", predicted[0], measured)
	// Output:
	// 111 active features; rows add up: true
	// predicted 0.044235, measured 0.044235
}
