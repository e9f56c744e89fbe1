package gpt2

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// maxPrograms is how many keys a model keeps programs of. What depends on the length of
// the prompt has it in its key, so that lengths which come no more give way; on a
// backend that compiles there are too few lengths, see Bucket, for that to happen.
const maxPrograms = 128

// programs are what was built last, by key. One that gives way is freed once nobody
// runs it any more.
type programs[E any] struct {
	byKey map[string]E
	order []string // the least recently used first
}

// get is the program of a key, built unless it is there.
func (p *programs[E]) get(key string, build func() (E, error)) (E, error) {
	e, ok := p.byKey[key]
	if ok {
		p.order = slices.DeleteFunc(p.order, func(k string) bool { return k == key })
	} else {
		var err error
		if e, err = build(); err != nil {
			return e, fmt.Errorf("gpt2: %w", err)
		}
		if p.byKey == nil {
			p.byKey = map[string]E{}
		}
		if len(p.order) == maxPrograms {
			delete(p.byKey, p.order[0])
			p.order = slices.Delete(p.order, 0, 1)
		}
		p.byKey[key] = e
	}
	p.order = append(p.order, key)
	return e, nil
}

// Compiled returns the program of that key, building it on first use. The function
// is a [graph] function of any form that model.NewExec takes. A program that is run
// with shapes which depend on the length of the prompt has that length in its key.
func Compiled[F model.ExecGraphFn](m *Model, key string, fn F) (*model.Exec, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.execs.get(key, func() (*model.Exec, error) {
		e, err := model.NewExec(m.Backend, m.Store, fn)
		if err != nil {
			return nil, err
		}
		e.SetMaxCache(-1) // the default refuses the 33rd set of shapes
		return e, nil
	})
}

// Plain is Compiled for a [graph] function that takes all that it needs as inputs.
func Plain[F graph.ExecGraphFn](m *Model, key string, fn F) (*graph.Exec, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.plain.get(key, func() (*graph.Exec, error) {
		e, err := graph.NewExec(m.Backend, fn)
		if err != nil {
			return nil, err
		}
		e.SetMaxCache(-1)
		return e, nil
	})
}
