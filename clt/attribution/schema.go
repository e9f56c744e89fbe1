package attribution

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ValidateJSON checks a graph file against the public schema (the draft-07
// schema that Neuronpedia applies to uploads) and against what a viewer needs:
// names that are unique, links whose ends exist, a slug of allowed letters. It
// returns every fault with its place, and nil if there is none.
func ValidateJSON(data []byte) []error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var root any
	if err := d.Decode(&root); err != nil {
		return []error{fmt.Errorf("attribution: graph is not JSON: %w", syntaxError(data, err))}
	}
	c := &checker{}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		c.fault("graph", "is followed by more text")
	}
	top, ok := c.object("graph", root)
	if !ok {
		return c.faults
	}
	if m, ok := c.object("metadata", top["metadata"]); ok {
		c.metadata(m)
	}
	if q, ok := c.object("qParams", top["qParams"]); ok {
		c.arrayOf("qParams.pinnedIds", q, "pinnedIds", false, "string")
		c.optional("qParams", q, "supernodes", "array")
		for _, key := range []string{"linkType", "clickedId", "sg_pos"} {
			c.optional("qParams", q, key, "string")
		}
	}
	names := c.nodes(top["nodes"])
	c.links(top["links"], names)
	if special, have := top["qk_only_nodes"]; have {
		c.attentionNodes(special)
	}
	return c.faults
}

// maxFaults ends a check of a file that is wrong throughout.
const maxFaults = 1000

type checker struct{ faults []error }

func (c *checker) fault(at, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Errorf("attribution: %s %s", at, fmt.Sprintf(format, args...)))
	}
}

// typeName is the JSON type of a decoded value; whole numbers are "integer".
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if f, err := v.Float64(); err == nil && f == float64(int64(f)) {
			return "integer"
		}
	}
	return "number"
}

// is checks a value against alternatives; an integer is a number too.
func (c *checker) is(at string, v any, types ...string) bool {
	have := typeName(v)
	if slices.Contains(types, have) || have == "integer" && slices.Contains(types, "number") {
		return true
	}
	c.fault(at, "is %s, wants %s", have, strings.Join(types, " or "))
	return false
}

func (c *checker) object(at string, v any) (map[string]any, bool) {
	if v == nil {
		c.fault(at, "is missing")
		return nil, false
	}
	o, ok := v.(map[string]any)
	if !ok {
		c.is(at, v, "object")
	}
	return o, ok
}

func (c *checker) optional(at string, o map[string]any, key string, types ...string) bool {
	v, have := o[key]
	return have && c.is(at+"."+key, v, types...)
}

func (c *checker) required(at string, o map[string]any, key string, types ...string) bool {
	if _, have := o[key]; !have {
		c.fault(at+"."+key, "is missing")
		return false
	}
	return c.optional(at, o, key, types...)
}

func (c *checker) arrayOf(at string, o map[string]any, key string, need bool, types ...string) {
	v, have := o[key]
	if !have {
		if need {
			c.fault(at, "is missing")
		}
		return
	}
	if !c.is(at, v, "array") {
		return
	}
	for i, e := range v.([]any) {
		c.is(fmt.Sprintf("%s[%d]", at, i), e, types...)
	}
}

func (c *checker) metadata(m map[string]any) {
	const at = "metadata"
	c.required(at, m, "scan", "string")
	c.required(at, m, "prompt", "string")
	c.arrayOf(at+".prompt_tokens", m, "prompt_tokens", true, "string")
	c.optional(at, m, "node_threshold", "number", "null") // null: circuit-tracer's "not pruned"
	if c.required(at, m, "slug", "string") {
		if s := m["slug"].(string); s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			c.fault(at+".slug", "is %q, wants letters a-z, digits, _ and - only", s)
		}
	}
	if c.optional(at, m, "info", "object") {
		info := m["info"].(map[string]any)
		for _, key := range []string{"description", "creator_name", "creator_url"} {
			c.optional(at+".info", info, key, "string")
		}
		c.optional(at+".info", info, "create_time_ms", "number")
		c.arrayOf(at+".info.source_urls", info, "source_urls", false, "string")
		if c.optional(at+".info", info, "generator", "object") {
			for key := range info["generator"].(map[string]any) {
				c.optional(at+".info.generator", info["generator"].(map[string]any), key, "string")
			}
		}
	}
	if c.optional(at, m, "generation_settings", "object") {
		s := m["generation_settings"].(map[string]any)
		for _, key := range []string{"max_n_logits", "batch_size", "max_feature_nodes"} {
			c.optional(at+".generation_settings", s, key, "integer")
		}
		c.optional(at+".generation_settings", s, "desired_logit_prob", "number")
	}
	if c.optional(at, m, "pruning_settings", "object") {
		s := m["pruning_settings"].(map[string]any)
		c.optional(at+".pruning_settings", s, "node_threshold", "number")
		c.optional(at+".pruning_settings", s, "edge_threshold", "number")
	}
	c.optional(at, m, "feature_details", "object")
}

// nodes checks all nodes and returns their names.
func (c *checker) nodes(v any) map[string]bool {
	names, first := map[string]bool{}, map[string]int{}
	if v == nil {
		c.fault("nodes", "is missing")
		return names
	}
	if !c.is("nodes", v, "array") {
		return names
	}
	for i, e := range v.([]any) {
		at := fmt.Sprintf("nodes[%d]", i)
		n, ok := c.object(at, e)
		if !ok {
			continue
		}
		c.node(at, n)
		c.required(at, n, "feature", "integer", "null")
		name, ok := n["node_id"].(string)
		if ok && names[name] {
			c.fault(at+".node_id", "is %q, which another node has too: nodes[%d] is %s, this is %s", name, first[name], described(v.([]any)[first[name]]), described(e))
		} else if ok {
			names[name], first[name] = true, i
		}
		c.optional(at, n, "influence", "number", "null")
		if c.optional(at, n, "qk_tracing_results", "object") {
			qk := n["qk_tracing_results"].(map[string]any)
			for _, key := range []string{"pair_wise_contributors", "top_q_marginal_contributors", "top_k_marginal_contributors"} {
				c.required(at+".qk_tracing_results", qk, key, "array")
			}
		}
	}
	return names
}

// described says what a node of a file is, whatever its name.
func described(node any) string {
	n, _ := node.(map[string]any)
	return fmt.Sprintf("%q of layer %v at position %v", n["feature_type"], n["layer"], n["ctx_idx"])
}

// node checks the fields that all kinds of node share.
func (c *checker) node(at string, n map[string]any) {
	for _, key := range []string{"node_id", "feature_type", "jsNodeId", "clerp"} {
		c.required(at, n, key, "string")
	}
	c.required(at, n, "layer", "string", "integer")
	c.required(at, n, "ctx_idx", "integer")
	c.optional(at, n, "activation", "number", "null")
}

func (c *checker) attentionNodes(v any) {
	all, ok := c.object("qk_only_nodes", v)
	if !ok {
		return
	}
	for _, name := range sortedKeys(all) {
		at := fmt.Sprintf("qk_only_nodes[%q]", name)
		if n, ok := c.object(at, all[name]); ok {
			c.node(at, n)
		}
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (c *checker) links(v any, names map[string]bool) {
	if v == nil {
		c.fault("links", "is missing")
		return
	}
	if !c.is("links", v, "array") {
		return
	}
	for i, e := range v.([]any) {
		at := fmt.Sprintf("links[%d]", i)
		l, ok := c.object(at, e)
		if !ok {
			continue
		}
		c.required(at, l, "weight", "number")
		for _, key := range []string{"source", "target"} {
			if !c.required(at, l, key, "string") {
				continue
			}
			if name := l[key].(string); !names[name] {
				c.fault(at+"."+key, "is %q, which is no node (link from %q to %q)", name, l["source"], l["target"])
			}
		}
	}
}
