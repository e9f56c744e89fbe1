package replacement

import (
	"fmt"
	"math"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Agreement holds another run's logits against those of the model on one prompt, by
// position. Position 0 is not replaced; its entries are there and small.
type Agreement struct {
	KL       []float64 // KL(model || other) of the next-token distributions, nats
	Cosine   []float64 // of the logits, each centred over the vocabulary
	MSE      []float64 // of the logits, mean over the vocabulary
	Same     []bool    // both have the same likeliest token
	Diverges int       // first position from 1 on where they have not, -1 if there is none
}

// Agree compares logits [pos, d_vocab].
func Agree(model, other gpt2.Array) (*Agreement, error) {
	if len(model.Shape) != 2 || len(other.Shape) != 2 || model.Shape[0] != other.Shape[0] || model.Shape[1] != other.Shape[1] {
		return nil, fmt.Errorf("replacement: compare: logits %v and %v; both must be [pos, d_vocab]", model.Shape, other.Shape)
	}
	a, v := &Agreement{Diverges: -1}, model.Shape[1]
	for p := range model.Shape[0] {
		x, y := make([]float64, v), make([]float64, v)
		topX, topY := 0, 0
		var meanX, meanY, kl, mse float64
		for i := range v {
			x[i], y[i] = model.At(p*v+i), other.At(p*v+i)
			meanX, meanY = meanX+x[i]/float64(v), meanY+y[i]/float64(v)
			mse += (x[i] - y[i]) * (x[i] - y[i]) / float64(v)
			if x[i] > x[topX] {
				topX = i
			}
			if y[i] > y[topY] {
				topY = i
			}
		}
		lx, ly := gpt2.LogProbs(x), gpt2.LogProbs(y)
		var xy, xx, yy float64
		for i := range v {
			kl += math.Exp(lx[i]) * (lx[i] - ly[i])
			xy, xx, yy = xy+(x[i]-meanX)*(y[i]-meanY), xx+(x[i]-meanX)*(x[i]-meanX), yy+(y[i]-meanY)*(y[i]-meanY)
		}
		a.KL, a.MSE = append(a.KL, max(0, kl)), append(a.MSE, mse)
		a.Cosine, a.Same = append(a.Cosine, xy/math.Sqrt(max(xx*yy, 1e-300))), append(a.Same, topX == topY)
		if p > 0 && topX != topY && a.Diverges < 0 {
			a.Diverges = p
		}
	}
	return a, nil
}
