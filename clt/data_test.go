package clt

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
)

func TestDataErrors(t *testing.T) {
	data := synthetic(2, 12, 30, 3, 600, 5)
	cfg, tc := smallRun(ActJumpReLU)
	broken := errors.New("disk gone")
	for want, src := range map[string]iter.Seq2[Batch, error]{
		"data has ended":    data.InOrder(tc.Batch),
		"disk gone":         func(yield func(Batch, error) bool) { yield(Batch{}, broken) },
		"settings say 128":  data.Batches(64, 1, 0),
		"batches of 10000":  data.Batches(10000, 1, 0),
		"of 3 and 3 layers": synthetic(3, 12, 30, 3, 600, 5).Batches(tc.Batch, 1, 0),
		"d_model 12":        synthetic(2, 16, 30, 3, 600, 5).Batches(tc.Batch-1, 1, 0),
	} {
		if want == "data has ended" {
			tc.Steps = 100
			src = func(yield func(Batch, error) bool) {
				for b, err := range data.InOrder(tc.Batch) {
					if b.Tokens(12) == tc.Batch && !yield(b, err) {
						return
					}
				}
			}
		}
		if _, _, err := trainSmall(t, context.Background(), cfg, tc, src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

// Shuffled batches are a permutation of the tokens in each epoch, and skipping
// equals drawing.
func TestBatches(t *testing.T) {
	a := &Activations{DModel: 1, Batch: Batch{In: [][]float32{{0, 1, 2, 3, 4, 5, 6}}, Out: [][]float32{{0, 10, 20, 30, 40, 50, 60}}}}
	take := func(seq iter.Seq2[Batch, error], n int) (list []float32) {
		for b, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			if b.Out[0][0] != 10*b.In[0][0] {
				t.Fatal("inputs and outputs come apart")
			}
			list = append(list, b.In[0]...)
			if n--; n == 0 {
				return list
			}
		}
		return list
	}
	all := take(a.Batches(2, 9, 0), 8)
	for epoch := range 2 {
		e := slices.Clone(all[epoch*6 : epoch*6+6])
		slices.Sort(e)
		if len(slices.Compact(e)) != 6 {
			t.Errorf("epoch %d repeats tokens: %v", epoch, all)
		}
	}
	for skip := range 5 {
		if got := take(a.Batches(2, 9, skip), 3); !slices.Equal(got, all[2*skip:2*skip+6]) {
			t.Errorf("skipping %d gives %v, drawing gives %v", skip, got, all)
		}
	}
	var c Activations
	c.DModel = 1
	for _, part := range []*Activations{a, a} {
		if err := c.Append(part.Batch); err != nil {
			t.Fatal(err)
		}
	}
	first, rest := c.Split(5)
	if c.Len() != 14 || first.Len() != 5 || rest.Len() != 9 || rest.In[0][0] != 5 {
		t.Errorf("append and split: %d, %d, %d", c.Len(), first.Len(), rest.Len())
	}
}

// The control has nothing to learn: each token gets the targets of another one, each
// target is used once, and the error, which falls without it, stays where predicting
// the mean has it.
func TestShuffledTargets(t *testing.T) {
	const d = 12
	data := synthetic(2, d, 30, 3, 60000, 5)
	cfg, tc := smallRun(ActBatchTopK)
	for b, err := range data.Batches(tc.Batch, 1, 0) {
		if err != nil {
			t.Fatal(err)
		}
		s, seen := b.otherTargets(d), map[int]bool{}
		for i := range tc.Batch {
			for j := range tc.Batch {
				if slices.Equal(s.Out[1][i*d:i*d+d], b.Out[1][j*d:j*d+d]) && slices.Equal(s.Out[0][i*d:i*d+d], b.Out[0][j*d:j*d+d]) {
					seen[j] = true
					if i == j {
						t.Errorf("token %d keeps its targets", i)
					}
				}
			}
		}
		if len(seen) != tc.Batch || !slices.Equal(s.In[0], b.In[0]) {
			t.Errorf("%d of %d targets are used, inputs equal %v", len(seen), tc.Batch, slices.Equal(s.In[0], b.In[0]))
		}
		break
	}
	tc.Steps, tc.ReportEvery = 300, 300
	nmse := map[bool]float64{}
	for _, tc.ShuffledTargets = range []bool{false, true} {
		r, p, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0))
		if err != nil {
			t.Fatal(err)
		}
		nmse[tc.ShuffledTargets] = p[0].NMSE
		if r.Transcoder.Info.Train.ShuffledTargets != tc.ShuffledTargets {
			t.Error("the transcoder does not say what it was trained on")
		}
	}
	if nmse[false] > 0.5 || nmse[true] < 0.95 || nmse[true] > 1.3 {
		t.Errorf("error %.3f, with shuffled targets %.3f", nmse[false], nmse[true])
	}
	if tc.Batch = 1; tc.Validate() == nil {
		t.Error("a batch of one token has no other")
	}
}
