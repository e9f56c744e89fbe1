package gpt2

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// LogProbs returns the log-probabilities of a row of logits, in nats, summed
// in float64.
func LogProbs(logits []float64) []float64 {
	norm := logSumExp(logits)
	out := make([]float64, len(logits))
	for i, v := range logits {
		out[i] = v - norm
	}
	return out
}

// sumStretch is how many exponentials are summed by one core at a time: fixed, so that
// the sum is the same on any number of cores.
const sumStretch = 1 << 13

// logSumExp is log(Σ exp(logit)), which a logit loses to become a log-probability.
func logSumExp(logits []float64) float64 {
	top := math.Inf(-1)
	for _, v := range logits {
		if v > top || v != v {
			top = v
		}
	}
	sums := make([]float64, (len(logits)+sumStretch-1)/sumStretch)
	vec.Parallel(len(sums), 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for _, v := range logits[i*sumStretch : min(len(logits), (i+1)*sumStretch)] {
				sums[i] += math.Exp(v - top)
			}
		}
	})
	sum := 0.0
	for _, v := range sums {
		sum += v
	}
	return top + math.Log(sum)
}

// Prediction is one candidate for the next token.
type Prediction struct {
	ID    int32   `json:"id"`
	Text  string  `json:"text"`
	Logit float64 `json:"logit"`
	Prob  float64 `json:"prob"`
}

// TopPredictions returns the n likeliest next tokens after position pos (the last
// one if negative), ties by id.
func (m *Model) TopPredictions(c *Cache, pos, n int) []Prediction {
	v := m.Config.DVocab
	if pos < 0 {
		pos = len(c.Tokens) - 1
	}
	row := make([]float64, v)
	for i := range row {
		row[i] = c.Logits.At(pos*v + i)
	}
	return m.Top(row, n)
}

// Top returns the n likeliest tokens of one row of logits.
func (m *Model) Top(logits []float64, n int) []Prediction {
	lp := LogProbs(logits)
	order := topIndices(logits, n)
	list := make([]Prediction, len(order))
	for i, id := range order {
		list[i] = Prediction{ID: int32(id), Text: m.TokenText(int32(id)), Logit: logits[id], Prob: math.Exp(lp[id])}
	}
	return list
}

// topIndices are the indices of the n largest values, ties in order.
func topIndices(v []float64, n int) []int {
	if n > 64 {
		order := make([]int, len(v))
		for i := range order {
			order[i] = i
		}
		sort.SliceStable(order, func(a, b int) bool { return v[order[a]] > v[order[b]] })
		return order[:min(n, len(order))]
	}
	order := []int{}
	for i, x := range v {
		if len(order) == n && !(n > 0 && x > v[order[n-1]]) {
			continue
		}
		at := sort.Search(len(order), func(k int) bool { return x > v[order[k]] })
		order = slices.Insert(order, at, i)
		order = order[:min(n, len(order))]
	}
	return order
}

// Sampler picks next tokens. Temperature 0 is greedy; TopK 0 and TopP 0 or 1 do
// not restrict.
type Sampler struct {
	Temperature float64
	TopK        int
	TopP        float64
}

// Pick draws one token from a row of logits and returns its log-probability
// under the unrestricted distribution at temperature 1, in nats.
func (s Sampler) Pick(logits []float64, r *rand.Rand) (id int32, logprob float64) {
	norm := logSumExp(logits)
	if s.Temperature <= 0 {
		best := 0
		for i, v := range logits {
			if v > logits[best] {
				best = i
			}
		}
		return int32(best), logits[best] - norm
	}
	keep := len(logits)
	if s.TopK > 0 {
		keep = min(keep, s.TopK)
	}
	order := topIndices(logits, keep)
	scaled := make([]float64, len(order))
	for i, id := range order {
		scaled[i] = logits[id] / s.Temperature
	}
	probs := LogProbs(scaled)
	total, cut := 0.0, len(order)
	for i := range probs {
		probs[i] = math.Exp(probs[i])
		total += probs[i]
		if s.TopP > 0 && s.TopP < 1 && total >= s.TopP {
			cut = i + 1
			break
		}
	}
	u := r.Float64() * total
	for i := range cut {
		u -= probs[i]
		if u < 0 || i == cut-1 {
			return int32(order[i]), logits[order[i]] - norm
		}
	}
	return int32(order[0]), logits[order[0]] - norm
}
