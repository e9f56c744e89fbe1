package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Verb does one thing for a client. It stops when ctx ends; report may be called from any goroutine until it returns.
type Verb func(ctx context.Context, request json.RawMessage, report func(wire.Progress)) (any, error)

// Dispatcher finds the verbs of a service.
type Dispatcher interface {
	Verb(name string) (Verb, bool)
	Names() []string // sorted
}

// Table is the plainest Dispatcher.
type Table map[string]Verb

// Verb returns the verb of that name.
func (t Table) Verb(name string) (Verb, bool) { v, ok := t[name]; return v, ok }

// Names lists the verbs in order.
func (t Table) Names() []string { return slices.Sorted(maps.Keys(t)) }

// Handle makes a Verb of a method with its own types. A request with an unknown field is an error: a misspelt option must
// not be silently ignored. An empty request is the zero value.
func Handle[Q, R any](f func(ctx context.Context, request Q, report func(wire.Progress)) (R, error)) Verb {
	return func(ctx context.Context, raw json.RawMessage, report func(wire.Progress)) (any, error) {
		var q Q
		if len(bytes.TrimSpace(raw)) > 0 {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.DisallowUnknownFields()
			if err := d.Decode(&q); err != nil {
				return nil, fmt.Errorf("engine: request: %w; is the cell from another version of this repository? restart the kernel", err)
			}
			if _, err := d.Token(); !errors.Is(err, io.EOF) {
				return nil, errors.New("engine: request: more than one JSON value; send one object")
			}
		}
		return f(ctx, q, report)
	}
}

// selfTest keeps a count over all calls: it shows that state outlives a cell.
func selfTest() Verb {
	var mu sync.Mutex
	var total wire.SelfTestResponse
	return Handle(func(ctx context.Context, q wire.SelfTestRequest, report func(wire.Progress)) (wire.SelfTestResponse, error) {
		for i := 1; i <= q.Steps; i++ {
			select {
			case <-ctx.Done():
				return wire.SelfTestResponse{}, ctx.Err()
			case <-time.After(time.Duration(q.EveryMS) * time.Millisecond):
			}
			mu.Lock()
			total.Steps++
			mu.Unlock()
			report(wire.Progress{Phase: "selftest", Done: i, Total: q.Steps})
		}
		if q.Panic != "" {
			panic(errors.New(q.Panic))
		}
		if q.Fail != "" {
			return wire.SelfTestResponse{}, errors.New(q.Fail)
		}
		mu.Lock()
		defer mu.Unlock()
		total.Calls++
		return total, nil
	})
}
