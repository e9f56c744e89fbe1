package gpt2

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// Cache holds what one forward pass on one prompt computed, on the host and
// without a batch axis.
type Cache struct {
	Tokens []int32
	Logits Array // [pos, d_vocab]
	Hooks  map[HookName]Array
}

// RunWithCache runs the model on one prompt and returns the logits and the named
// activations. Names may be patterns with one trailing or leading "*":
// "blocks.3.*", "*hook_resid_mid", "*" for all.
func (m *Model) RunWithCache(tokens []int32, names ...HookName) (*Cache, error) {
	return m.RunProgram(Program{}, tokens, names...)
}

// RunProgram is RunWithCache with a hook: the activations are those after it.
func (m *Model) RunProgram(p Program, tokens []int32, names ...HookName) (*Cache, error) {
	if err := m.CheckTokens(tokens); err != nil {
		return nil, err
	}
	names, err := m.expand(names)
	if err != nil {
		return nil, err
	}
	padded := make([]int32, m.Bucket(len(tokens)))
	copy(padded, tokens)
	out, err := m.call(p, names, true, tensors.FromFlatDataAndDimensions(padded, 1, len(padded)), func(i int, view Array) Array {
		axes := []int{0}
		if i > 0 {
			axes = posAxes(names[i-1])
		}
		return view.squeeze().cut(len(tokens), axes...)
	})
	if err != nil {
		return nil, err
	}
	c := &Cache{Tokens: append([]int32{}, tokens...), Logits: out[0], Hooks: map[HookName]Array{}}
	for i, n := range names {
		c.Hooks[n] = out[i+1]
	}
	return c, nil
}

// RunBatch runs the program on prompts of one length and returns the logits
// [batch, pos, d_vocab] and the named activations, each with its batch axis.
func (m *Model) RunBatch(p Program, batch [][]int32, names ...HookName) (logits Array, hooks map[HookName]Array, err error) {
	flat, err := m.flatten(batch)
	if err != nil {
		return Array{}, nil, err
	}
	if names, err = m.expand(names); err != nil {
		return Array{}, nil, err
	}
	out, err := m.call(p, names, true, flat, whole)
	if err != nil {
		return Array{}, nil, err
	}
	hooks = map[HookName]Array{}
	for i, n := range names {
		hooks[n] = out[i+1]
	}
	return out[0], hooks, nil
}

// RunHooks is RunBatch without logits, which cost as much as several layers.
func (m *Model) RunHooks(p Program, batch [][]int32, names ...HookName) (map[HookName]Array, error) {
	flat, err := m.flatten(batch)
	if err != nil {
		return nil, err
	}
	if names, err = m.expand(names); err != nil {
		return nil, err
	}
	out, err := m.call(p, names, false, flat, whole)
	if err != nil {
		return nil, err
	}
	hooks := map[HookName]Array{}
	for i, n := range names {
		hooks[n] = out[i]
	}
	return hooks, nil
}

// flatten checks a batch of equal lengths and makes its tensor.
func (m *Model) flatten(batch [][]int32) (*tensors.Tensor, error) {
	if len(batch) == 0 {
		return nil, fmt.Errorf("gpt2: the batch has no prompts")
	}
	var flat []int32
	for i, tokens := range batch {
		if err := m.CheckTokens(tokens); err != nil {
			return nil, err
		}
		if len(tokens) != len(batch[0]) {
			return nil, fmt.Errorf("gpt2: prompt %d of the batch has %d tokens, prompt 0 has %d; a batch has one length", i, len(tokens), len(batch[0]))
		}
		flat = append(flat, tokens...)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(batch), len(batch[0])), nil
}

// whole takes an output as it is.
func whole(_ int, view Array) Array { return view }

// call runs the program and takes its outputs to the host: logits, if wanted, then
// the hooks. take says what is needed of each; all cores copy. The Go backend's
// outputs lie on Go's heap and in nobody else's hands: they are given out as they are.
func (m *Model) call(p Program, names []HookName, logits bool, tokens *tensors.Tensor, take func(i int, view Array) Array) ([]Array, error) {
	var key strings.Builder
	fmt.Fprintf(&key, "cache|%v|%v|%s|", tokens.Shape().Dimensions, logits, p.Key)
	for _, n := range names {
		key.WriteString(string(n) + ",")
	}
	build := cacheGraph(m.Config, p, names)
	if !logits {
		build = hooksGraph(m.Config, p, names)
	}
	exec, err := Compiled(m, key.String(), build)
	if err != nil {
		return nil, err
	}
	args := []any{tokens}
	for _, t := range p.Inputs {
		args = append(args, t)
	}
	outs, err := exec.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("gpt2: forward: %w", err)
	}
	arrays, errs := make([]Array, len(outs)), make([]error, len(outs))
	vec.Each(len(outs), func(i int) {
		given := false
		errs[i] = withView(outs[i], func(view Array) {
			arrays[i] = take(i, view)
			switch whole := arrays[i].Len() == view.Len(); {
			case whole && onHeap(m.Backend):
				given = true
			case whole:
				arrays[i] = arrays[i].clone()
			}
		})
		if errs[i] == nil && !given {
			errs[i] = outs[i].FinalizeAll()
		}
	})
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("gpt2: forward: %w", err)
	}
	return arrays, nil
}

// expand turns patterns into names, in the order of the forward pass.
func (m *Model) expand(names []HookName) ([]HookName, error) {
	all := HookNames(m.Config.Layers)
	want := map[HookName]bool{}
	for _, n := range names {
		matched := false
		for _, h := range all {
			s, p := string(h), string(n)
			if s == p || (strings.HasSuffix(p, "*") && strings.HasPrefix(s, strings.TrimSuffix(p, "*"))) ||
				(strings.HasPrefix(p, "*") && strings.HasSuffix(s, strings.TrimPrefix(p, "*"))) {
				want[h], matched = true, true
			}
		}
		if !matched {
			return nil, fmt.Errorf("gpt2: no hook of %s is named %q; see HookNames, for example blocks.0.hook_resid_mid", m.Name, n)
		}
	}
	var list []HookName
	for _, h := range all {
		if want[h] {
			list = append(list, h)
		}
	}
	return list, nil
}

// posAxes are the axes of an activation without batch axis that run over positions.
func posAxes(n HookName) []int {
	if _, s, ok := n.Split(); ok && (s == AttnPattern || s == AttnScores) {
		return []int{1, 2}
	}
	return []int{0}
}

// RunEach is RunProgram on several prompts at once, of equal or unequal lengths:
// they run as one batch, padded on the right, and each gets its own cache without
// padding. Causal attention keeps the padding from being seen.
func (m *Model) RunEach(p Program, prompts [][]int32, names ...HookName) ([]*Cache, error) {
	if len(prompts) == 0 {
		return nil, fmt.Errorf("gpt2: the batch has no prompts")
	}
	longest := 0
	for i, tokens := range prompts {
		if err := m.CheckTokens(tokens); err != nil {
			return nil, fmt.Errorf("%w (prompt %d)", err, i)
		}
		longest = max(longest, len(tokens))
	}
	batch := make([][]int32, len(prompts))
	for i, tokens := range prompts {
		batch[i] = make([]int32, m.Bucket(longest))
		copy(batch[i], tokens)
	}
	logits, hooks, err := m.RunBatch(p, batch, names...)
	if err != nil {
		return nil, err
	}
	caches := make([]*Cache, len(prompts))
	for i, tokens := range prompts {
		c := &Cache{Tokens: append([]int32{}, tokens...), Hooks: map[HookName]Array{}}
		c.Logits = logits.row(i).cut(len(tokens), 0)
		for name, a := range hooks {
			c.Hooks[name] = a.row(i).cut(len(tokens), posAxes(name)...)
		}
		caches[i] = c
	}
	return caches, nil
}
