package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// batchBytes is how much input one worker takes at a time.
const batchBytes = 256 << 10

// batch is some lines of input and, when done is closed, their answers.
type batch struct {
	first int // number of the first line, from 1
	lines []byte
	out   []byte
	err   error
	done  chan struct{}
}

// stream answers line by line, in order, on all processors. Input that is slow is
// answered as it comes: a batch ends where the reader would have to wait.
func (j tokenJob) stream(ctx context.Context, in io.Reader, out *bufio.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := make(chan *batch)
	order := make(chan *batch, 2*runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for b := range work {
				j.answer(b)
				close(b.done)
			}
		}()
	}
	failed := make(chan error, 1)
	go func() {
		defer close(work)
		defer close(order)
		failed <- readBatches(bufio.NewReaderSize(in, batchBytes), func(b *batch) bool {
			select {
			case order <- b:
			case <-ctx.Done():
				return false
			}
			select {
			case work <- b:
			case <-ctx.Done():
				close(b.done)
				return false
			}
			return true
		})
	}()
	for {
		select {
		case b, ok := <-order:
			if !ok {
				return <-failed
			}
			if err := b.write(ctx, out, len(order) == 0); err != nil {
				return err
			}
		case <-ctx.Done(): // also while the reader waits for input
			return ctx.Err()
		}
	}
}

// write waits for the answers and writes them; flush sends them on their way.
func (b *batch) write(ctx context.Context, out *bufio.Writer, flush bool) error {
	select {
	case <-b.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := out.Write(b.out); err != nil {
		return err
	}
	if b.err != nil || !flush {
		return b.err
	}
	return out.Flush()
}

// answer works through one batch; the first bad line ends it.
func (j tokenJob) answer(b *batch) {
	number := b.first
	for rest := b.lines; len(rest) > 0; number++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		begin := len(b.out)
		out, err := j.line(b.out, line)
		if err != nil {
			b.out = out[:begin]
			b.err = fmt.Errorf("line %d: %w", number, err)
			return
		}
		b.out = append(out, '\n')
	}
}

// readBatches cuts the input into batches of whole lines, however long they are.
func readBatches(r *bufio.Reader, send func(*batch) bool) error {
	next := 1
	b := &batch{first: 1, done: make(chan struct{})}
	for {
		part, err := r.ReadSlice('\n')
		b.lines = append(b.lines, part...)
		if err == nil {
			next++
		}
		whole := err == nil && (len(b.lines) >= batchBytes || !lineWaits(r))
		if whole || (err != nil && !errors.Is(err, bufio.ErrBufferFull) && len(b.lines) > 0) {
			if !send(b) {
				return nil
			}
			b = &batch{first: next, done: make(chan struct{})}
		}
		switch {
		case err == nil || errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil
		default:
			return fmt.Errorf("stdin: %w", err)
		}
	}
}

// lineWaits says whether another whole line is already here.
func lineWaits(r *bufio.Reader) bool {
	ready, _ := r.Peek(r.Buffered())
	return bytes.IndexByte(ready, '\n') >= 0
}
