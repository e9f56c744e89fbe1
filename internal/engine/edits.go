package engine

import (
	"fmt"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// edits reads edits and looks up what swaps take from the other prompt. With
// another prompt and no edits all features are swapped where the tokens differ.
func (s *Service) edits(local *replacement.Local, texts []string, other *wire.Prompt) ([]replacement.Edit, *replacement.Local, error) {
	list, err := parseEdits(texts)
	if err != nil {
		return nil, nil, err
	}
	if other == nil {
		list, err = local.Resolve(list, nil)
		return list, nil, err
	}
	ids, err := encode(local.LM, *other)
	if err != nil {
		return nil, nil, fmt.Errorf("engine: the other prompt: %w", err)
	}
	there, err := local.Localize(ids)
	if err != nil {
		return nil, nil, err
	}
	if len(list) == 0 {
		if list, err = local.Differences(there); err != nil {
			return nil, nil, err
		}
	}
	list, err = local.Resolve(list, there)
	return list, there, err
}

func parseEdits(texts []string) ([]replacement.Edit, error) {
	var list []replacement.Edit
	for _, text := range texts {
		e, err := replacement.ParseEdit(text)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// liveEdits are the edits of a generation. The prompt is run by itself only if a
// swap needs to know what is active on it.
func (s *Service) liveEdits(r *replacement.Model, req wire.GenerateRequest, ids []int32) ([]replacement.Edit, error) {
	if req.Other == nil {
		list, err := parseEdits(req.Edits)
		return list, err
	}
	local, err := r.Localize(ids)
	if err != nil {
		return nil, err
	}
	list, _, err := s.edits(local, req.Edits, req.Other)
	return list, err
}

// badRequest is an error of the one who asks, not of the work.
func badRequest(format string, args ...any) error {
	return &replacement.RequestError{Err: fmt.Errorf("engine: "+format, args...)}
}

// editTexts are edits as people read them.
func editTexts(list []replacement.Edit) []string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.String()
	}
	return texts
}

// readGroups reads the supernodes of a request, behind one of the edited features.
func readGroups(local *replacement.Local, list []wire.Group, edits []replacement.Edit) ([]replacement.Group, error) {
	var groups []replacement.Group
	edited := replacement.Group{Name: "edited"}
	for _, e := range edits {
		for p := max(1, e.Pos); e.Add == nil && p < len(local.Tokens) && (p == e.Pos || e.Open); p++ {
			edited.Members = append(edited.Members, replacement.Place{Feature: e.Feature, Pos: p})
		}
	}
	if len(edited.Members) > 0 {
		groups = append(groups, edited)
	}
	for _, g := range list {
		group := replacement.Group{Name: g.Name}
		for _, text := range g.Features {
			var m replacement.Place
			if n, err := fmt.Sscanf(strings.TrimPrefix(strings.TrimSpace(text), "f"), "%d/%d@%d", &m.Layer, &m.Index, &m.Pos); n != 3 || err != nil ||
				m.Layer < 0 || m.Layer >= local.CLT.Layers || m.Index < 0 || m.Index >= local.CLT.Features || m.Pos < 0 || m.Pos >= len(local.Tokens) {
				return nil, badRequest("group %q: %q is no feature of this prompt; give L/F@P with layers 0..%d, features 0..%d, positions 0..%d",
					g.Name, text, local.CLT.Layers-1, local.CLT.Features-1, len(local.Tokens)-1)
			}
			group.Members = append(group.Members, m)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// groupChanges reads supernodes out.
func groupChanges(local *replacement.Local, groups []replacement.Group, effect *replacement.Effect) []wire.GroupChange {
	list := []wire.GroupChange{}
	for i, r := range local.Readouts(groups, effect.Activations()) {
		c := wire.GroupChange{Name: groups[i].Name, Features: len(groups[i].Members), Before: r.Before, After: r.After}
		if f := r.Fraction(); f == f {
			c.Fraction = &f
		}
		list = append(list, c)
	}
	return list
}
