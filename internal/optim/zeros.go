package optim

import (
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

func zeros(s shapes.Shape) *tensors.Tensor { return tensors.FromShape(s) }
