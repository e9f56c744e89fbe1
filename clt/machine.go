package clt

import (
	"fmt"

	"github.com/gomlx/compute"
)

// Ways to compute a step of training.
const (
	PathAuto   = "auto"   // sparse where it can be, otherwise dense
	PathDense  = "dense"  // one compiled graph, for every device
	PathSparse = "sparse" // on the host, features that are off cost nothing; for backends that share memory with it
)

// machine holds the variables of a training run and computes its steps. The names
// and shapes of variables are the same in all, so that a checkpoint fits each.
type machine interface {
	create(name string, values []float32, shape []int) error
	ready(trained []string) error // adds moments and prepares steps
	names() []string              // in a fixed order
	get(name string) ([]float32, []int, error)
	set(name string, values []float32) error
	// step does one update on the mean of the parts, batches of equal size in
	// scaled space, and returns its vector, see readStep. A step whose loss or
	// gradient is not finite changes no weight.
	step(lr, lambda, number float32, parts []Batch) ([]float32, error)
	free()
}

// sparsePossible says why a run cannot be computed on the host, or nil.
func sparsePossible(b compute.Backend, cfg Config, tc TrainConfig) error {
	switch {
	case !b.HasSharedBuffers():
		return fmt.Errorf("clt: path sparse needs a backend on the processor; use dense")
	case cfg.Skip:
		return fmt.Errorf("clt: path sparse has no skip connection; use dense")
	case tc.Compute == ComputeBFloat16:
		return fmt.Errorf("clt: path sparse computes in float32; use dense")
	case tc.AuxK > 0:
		return fmt.Errorf("clt: path sparse has no aux loss; use dense")
	}
	return nil
}

// newMachine makes the machine of a run and returns the name of its path.
func newMachine(b compute.Backend, cfg Config, tc TrainConfig) (machine, string, error) {
	err := sparsePossible(b, cfg, tc)
	if tc.Path == PathSparse && err != nil {
		return nil, "", err
	}
	if tc.Path == PathDense || err != nil {
		return newDense(b, cfg, tc), PathDense, nil
	}
	return newSparse(b, cfg, tc), PathSparse, nil
}
