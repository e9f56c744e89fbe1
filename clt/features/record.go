package features

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// publicRecord is a feature as circuit-tracer's viewer and Neuronpedia read it.
type publicRecord struct {
	TranscoderID string           `json:"transcoder_id"`
	Index        int64            `json:"index"` // Cantor pair of layer and index
	Quantiles    []publicQuantile `json:"examples_quantiles"`
	TopLogits    []string         `json:"top_logits"`
	BottomLogits []string         `json:"bottom_logits"`
	ActMin       float64          `json:"act_min"`
	ActMax       float64          `json:"act_max"`
	QuantileVals []float64        `json:"quantile_values"`
	Histogram    []float64        `json:"histogram"`
	Frequency    float64          `json:"activation_frequency"`
}

type publicQuantile struct {
	Name     string          `json:"quantile_name"`
	Examples []publicExample `json:"examples"`
}

type publicExample struct {
	Values   []float64 `json:"tokens_acts_list"`
	Peak     int       `json:"train_token_ind"`
	Repeated bool      `json:"is_repeated_datapoint"`
	Tokens   []string  `json:"tokens"`
}

// sideRecord is what the public layout has no place for. Lists of tokens are ids and
// values; examples are in the order of the public record.
type sideRecord struct {
	Active   int            `json:"active"`
	Mean     float64        `json:"mean"`
	BinWidth float64        `json:"bin_width,omitempty"`
	Limits   [][2]float64   `json:"limits,omitempty"` // of the groups
	Places   [][][3]int     `json:"places,omitempty"` // group, example: window, position, repetitions
	Top      sideScores     `json:"top"`
	Bottom   sideScores     `json:"bottom"`
	Norms    []float64      `json:"norms"` // by target layer
	TopBy    []sideScores   `json:"top_by,omitempty"`
	BottomBy []sideScores   `json:"bottom_by,omitempty"`
	Embed    sideScores     `json:"embed"`
	Extended sideScores     `json:"extended,omitempty"`
	Coactive []sideCoactive `json:"coactive,omitempty"`
}

type sideScores struct {
	IDs    []int32   `json:"i"`
	Values []float64 `json:"v"`
}

type sideCoactive struct {
	ID      uint32     `json:"id"` // layer·features + index
	Count   int        `json:"n"`
	Share   float64    `json:"share"`
	Factors [4]float64 `json:"f"`
}

// Cantor is the pair number by which viewers call a feature.
func Cantor(layer, index int) int64 {
	s := int64(layer) + int64(index)
	return s*(s+1)/2 + int64(index)
}

// round keeps five digits: files stay short, and the same on every machine.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	p := math.Pow(10, 4-math.Floor(math.Log10(math.Abs(v))))
	if math.IsInf(p, 0) || p == 0 {
		return v
	}
	return math.Round(v*p) / p
}

// exact is the float64 whose decimal is the shortest that gives the float32 back.
func exact(v float32) float64 {
	x, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		return 0
	}
	return x
}

func roundAll(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = round(x)
	}
	return out
}

// publicToken is a token as text; bytes that are none are written \xNN, as viewers
// expect them.
func publicToken(raw string) string {
	if utf8.ValidString(raw) {
		return raw
	}
	s := ""
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRuneInString(raw[i:])
		if r == utf8.RuneError && n <= 1 {
			s += fmt.Sprintf("\\x%02x", raw[i])
			i++
			continue
		}
		s += raw[i : i+n]
		i += n
	}
	return s
}

// records makes the two records of a feature. k is nil for one that was never active.
func (w *storeWriter) records(layer, index int, k *block, e effect) (publicRecord, sideRecord) {
	p := publicRecord{TranscoderID: fmt.Sprint(layer), Index: Cantor(layer, index), Quantiles: []publicQuantile{}, QuantileVals: []float64{}, Histogram: []float64{},
		TopLogits: w.tokens(e.top), BottomLogits: w.tokens(e.bottom)}
	s := sideRecord{Top: scores(e.top), Bottom: scores(e.bottom), Embed: scores(e.raw), Extended: scores(e.extended)}
	for _, t := range e.targets {
		s.Norms = append(s.Norms, round(t.norm))
		s.TopBy, s.BottomBy = append(s.TopBy, scores(t.top)), append(s.BottomBy, scores(t.bottom))
	}
	if k == nil {
		return p, s
	}
	tokens := float64(max(w.c.tokens, 1))
	p.ActMax, p.Frequency = exact(k.max), round(float64(k.count)/tokens)
	s.Active, s.Mean, s.BinWidth = int(k.count), round(k.sum/float64(k.count)), k.hist.width()
	for _, n := range k.hist.counts {
		p.Histogram = append(p.Histogram, float64(n))
	}
	p.QuantileVals = roundAll(k.hist.quantiles(0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1))
	w.group(&p, &s, "Top examples", k.top, exact(k.top[len(k.top)-1].value), exact(k.max))
	n := len(k.groups)
	for g := n - 1; g >= 0; g-- {
		if len(k.groups[g]) > 0 {
			sorted := slices.Clone(k.groups[g])
			slices.SortStableFunc(sorted, func(a, b example) int {
				return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.window, b.window), cmp.Compare(a.pos, b.pos))
			})
			w.group(&p, &s, fmt.Sprintf("Interval %d of %d", n-g, n), sorted, edge(k.max, g, n), edge(k.max, g+1, n))
		}
	}
	for _, o := range k.with.most(w.c.cfg.Coactive) {
		s.Coactive = append(s.Coactive, w.coactive(k, o))
	}
	return p, s
}

// edge is the lower edge of interval g of n.
func edge(most float32, g, n int) float64 {
	if g == n {
		return exact(most)
	}
	return round(exact(most) * float64(g) / float64(n))
}

// group appends examples to both records.
func (w *storeWriter) group(p *publicRecord, s *sideRecord, name string, list []example, low, high float64) {
	q := publicQuantile{Name: name}
	var places [][3]int
	for _, e := range list {
		x := publicExample{Peak: int(e.peak), Repeated: e.repeats > 0}
		for j, id := range e.ids {
			x.Tokens, x.Values = append(x.Tokens, publicToken(w.vocab[id])), append(x.Values, exact(e.values[j]))
		}
		q.Examples = append(q.Examples, x)
		places = append(places, [3]int{int(e.window), int(e.pos), int(e.repeats)})
	}
	p.Quantiles, s.Places, s.Limits = append(p.Quantiles, q), append(s.Places, places), append(s.Limits, [2]float64{low, high})
}

// coactive turns sums into the factors of coactivation-weighted weights.
func (w *storeWriter) coactive(k *block, o partner) sideCoactive {
	other := w.c.blocks[o.id]
	ratio := func(a, b float64) float64 {
		if b <= 0 {
			return 0
		}
		return round(a / b)
	}
	// Sums over the tokens that were looked at stand for the mean given that this
	// feature is active; its density makes it a mean over all tokens.
	n := float64(k.paired) * float64(w.c.tokens) / float64(k.count)
	mean := func(sum float64) float64 { return sum / float64(w.c.tokens) }
	return sideCoactive{ID: o.id, Count: int(o.count), Share: ratio(float64(o.count), float64(k.paired)),
		Factors: [4]float64{ratio(o.own, n), ratio(o.product/n, mean(other.sum)), ratio(o.its, n), ratio(o.product/n, mean(k.sum))}}
}

func (w *storeWriter) tokens(list []scored) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, publicToken(w.vocab[s.id]))
	}
	return out
}

func scores(list []scored) sideScores {
	s := sideScores{IDs: []int32{}, Values: []float64{}}
	for _, x := range list {
		s.IDs, s.Values = append(s.IDs, x.id), append(s.Values, round(float64(x.value)))
	}
	return s
}
