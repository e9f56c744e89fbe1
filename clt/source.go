package clt

import (
	"errors"
	"fmt"
	"time"
)

// errNoData says that the batches ended before the steps.
var errNoData = errors.New("clt: the data has ended; repeat it, or train fewer steps")

// source draws batches, with those of the sample first.
type source struct {
	next   func() (Batch, error, bool)
	cfg    Config
	size   int
	queue  []Batch
	waited time.Duration
}

func (s *source) batch() (Batch, error) {
	if len(s.queue) > 0 {
		b := s.queue[0]
		s.queue = s.queue[1:]
		return b, nil
	}
	return s.draw()
}

func (s *source) draw() (Batch, error) {
	begin := time.Now()
	b, err, ok := s.next()
	s.waited += time.Since(begin)
	if !ok {
		return Batch{}, errNoData
	}
	if err != nil {
		return Batch{}, err
	}
	if err := b.check(s.cfg); err != nil {
		return Batch{}, err
	}
	if n := b.Tokens(s.cfg.DModel); n != s.size {
		return Batch{}, fmt.Errorf("clt: a batch has %d tokens, the settings say %d; make all batches alike", n, s.size)
	}
	return b, nil
}

// sample draws batches until they hold so many tokens, and queues them.
func (s *source) sample(tokens int) ([]Batch, error) {
	for len(s.queue)*s.size < tokens {
		b, err := s.draw()
		if err == errNoData && len(s.queue) > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		s.queue = append(s.queue, b)
	}
	return s.queue, nil
}

// skip drops batches that an earlier run used.
func (s *source) skip(n int) error {
	if n < 0 {
		return fmt.Errorf("clt: data starts %d batches past the checkpoint; start it earlier", -n)
	}
	for range n {
		if _, err := s.draw(); err != nil {
			return fmt.Errorf("clt: going past %d batches used before: %w", n, err)
		}
	}
	return nil
}
