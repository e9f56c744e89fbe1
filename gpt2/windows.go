package gpt2

import (
	"fmt"
	"math/rand/v2"
)

// Windows cuts a text's tokens into windows of the given length, each with bos in
// front (none if negative), and gives them in batches without end: every epoch in
// an order drawn from the seed. The source depends on the step alone.
func Windows(ids []int32, bos int32, batch, window int, seed uint64) (TokenSource, error) {
	room := window
	if bos >= 0 {
		room--
	}
	if room < 1 || batch < 1 {
		return nil, fmt.Errorf("gpt2: windows of %d tokens in batches of %d; give at least 2 and 1", window, batch)
	}
	n := len(ids) / room
	if n == 0 {
		return nil, fmt.Errorf("gpt2: the text has %d tokens, one window needs %d; give more text or a shorter window", len(ids), room)
	}
	order, epoch := []int(nil), -1
	pick := func(i int) []int32 {
		if e := i / n; e != epoch {
			epoch, order = e, rand.New(rand.NewPCG(seed, uint64(e))).Perm(n)
		}
		w := order[i%n]
		var out []int32
		if bos >= 0 {
			out = append(out, bos)
		}
		return append(out, ids[w*room:(w+1)*room]...)
	}
	return func(step int) ([][]int32, error) {
		list := make([][]int32, batch)
		for i := range list {
			list[i] = pick(step*batch + i)
		}
		return list, nil
	}, nil
}
