package clt_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/backend"
)

// A transcoder is trained on activations, evaluated on others, saved and loaded.
func Example() {
	b, _, err := backend.Open("go")
	if err != nil {
		panic(err)
	}
	defer b.Finalize()

	// One layer of width 4; each token has one of four causes, and the output is
	// twice the input. Real activations come from a language model.
	a := &clt.Activations{DModel: 4}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		x, y := make([]float32, 4), make([]float32, 4)
		cause, strength := rng.IntN(4), float32(1+rng.Float64())
		x[cause], y[cause] = strength, 2*strength
		if err := a.Append(clt.Batch{In: [][]float32{x}, Out: [][]float32{y}}); err != nil {
			panic(err)
		}
	}
	train, test := a.Split(3000)

	cfg := clt.DefaultConfig(1, 4)
	cfg.Features = 8
	tc := clt.DefaultTrainConfig()
	tc.Batch, tc.Steps, tc.Warmup, tc.LR, tc.InitActive = 200, 200, 20, 1e-2, 2
	r, err := clt.Train(context.Background(), b, cfg, train.Batches(tc.Batch, 1, 0), tc, nil)
	if err != nil {
		panic(err)
	}
	m, err := clt.EvalActivations(context.Background(), b, r.Transcoder, test.InOrder(500))
	if err != nil {
		panic(err)
	}
	fmt.Println("parameters:", r.Transcoder.NumParameters())
	fmt.Println("error below 2 %:", m.NMSE < 0.02)
	fmt.Println("fewer than 2 features per token:", m.L0 < 2)
	// Output:
	// parameters: 84
	// error below 2 %: true
	// fewer than 2 features per token: true
}
