package clt

// LRAt is the learning rate of a step, counted from 0: a linear rise over Warmup
// steps, constant, and over the last fraction Decay of the steps a linear fall to
// FinalLR·LR, which LRAt(Steps) is.
func (c TrainConfig) LRAt(step int) float64 {
	lr := c.LR
	if step < c.Warmup {
		lr *= float64(step+1) / float64(c.Warmup)
	}
	if length := c.Decay * float64(c.Steps); length > 0 {
		if past := float64(step) - (float64(c.Steps) - length); past > 0 {
			lr *= 1 - (1-c.FinalLR)*min(past/length, 1)
		}
	}
	return lr
}

// LambdaAt is the weight of the sparsity penalty at a step, counted from 0: it
// rises linearly from 0 to Lambda over the first fraction LambdaRamp of the steps.
func (c TrainConfig) LambdaAt(step int) float64 {
	length := c.LambdaRamp * float64(c.Steps)
	if length <= 0 || float64(step) >= length {
		return c.Lambda
	}
	return c.Lambda * float64(step) / length
}
