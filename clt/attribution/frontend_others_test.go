package attribution

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// Small files in the forms that other programs write.
const (
	// EleutherAI's attribute: names of its own, Cantor numbers without a schema version,
	// logits at layer -1 and without a feature, and a prefix that positions in names
	// leave out.
	ofAttribute = `{"metadata":{"slug":"a","scan":"gpt2","prompt_tokens":["<s>","Hi"," all"],"prompt":"<s>Hi all","title_prefix":"","n_layers":12,
 "node_sep_threshold":1e-5,"node_threshold":0.8},
"nodes":[
 {"feature_type":"logit","layer":"-1","node_id":"output_1_0","jsNodeId":"output_1_0-0","feature":null,"ctx_idx":2,"run_idx":0,"reverse_ctx_idx":0,"clerp":"output: \" you\" (p=0.600)","token_prob":0.6,"is_target_logit":false,"influence":0.1},
 {"feature_type":"logit","layer":"-1","node_id":"output_1_1","jsNodeId":"output_1_1-0","feature":null,"ctx_idx":2,"run_idx":0,"reverse_ctx_idx":0,"clerp":"output: \"!\" (p=0.300)","token_prob":0.3,"is_target_logit":false,"influence":0.2},
 {"feature_type":"embedding","layer":"E","node_id":"input_-1","jsNodeId":"input_-1-0","feature":null,"ctx_idx":0,"clerp":"","token_prob":0.0,"influence":0.9},
 {"feature_type":"embedding","layer":"E","node_id":"input_0","jsNodeId":"input_0-0","feature":null,"ctx_idx":1,"clerp":"","token_prob":0.0,"influence":0.9},
 {"feature_type":"embedding","layer":"E","node_id":"input_1","jsNodeId":"input_1-0","feature":null,"ctx_idx":2,"clerp":"","token_prob":0.0,"influence":0.9},
 {"feature_type":"cross layer transcoder","layer":"2","node_id":"intermediate_1_2_9","jsNodeId":"intermediate_1_2_9-0","feature":75,"ctx_idx":2,"clerp":"","token_prob":0.0,"influence":0.5},
 {"feature_type":"mlp reconstruction error","layer":"3","node_id":"error_1_3","jsNodeId":"error_1_3-0","feature":null,"ctx_idx":2,"clerp":"","token_prob":0.0,"influence":0.6}],
"links":[{"source":"input_0","target":"intermediate_1_2_9","weight":2.5},{"source":"intermediate_1_2_9","target":"output_1_1","weight":-0.25},
 {"source":"error_1_3","target":"output_1_0","weight":0.125}],
"qParams":{"linkType":"both"}}`

	// A download of the site: labels, and the saved view as lists and as texts.
	ofSite = `{"metadata":{"slug":"b-1","scan":"gpt2-small","schema_version":1,"prompt_tokens":["Hi"],"prompt":"Hi","node_threshold":null,
 "info":{"creator_name":"x","create_time_ms":1750000000000,"generator":{"name":"circuit-tracer","version":"0.4"}},"pruning_settings":{"node_threshold":0.7,"edge_threshold":0.9}},
"qParams":{"pinnedIds":"1_5_0,gone,E_7_0","supernodes":"[[\"greeting\",\"1_5_0\",\"gone\"]]","linkType":"either","clickedId":null,"sg_pos":"1 2",
 "pruningThreshold":"0.6","densityThreshold":0.99,"clerps":[["1_5_0","says hi"]]},
"nodes":[
 {"node_id":"E_7_0","feature":0,"layer":"E","ctx_idx":0,"feature_type":"embedding","token_prob":0,"is_target_logit":false,"run_idx":0,"reverse_ctx_idx":0,"jsNodeId":"E_7-0","clerp":"","influence":null,"activation":null},
 {"node_id":"1_5_0","feature":26,"layer":"1","ctx_idx":0,"feature_type":"cross layer transcoder","token_prob":0,"is_target_logit":false,"run_idx":0,"reverse_ctx_idx":0,"jsNodeId":"1_5-0","clerp":"old","influence":0.5,"activation":3},
 {"node_id":"2_-1_0","feature":-1,"layer":"2","ctx_idx":0,"feature_type":"mlp reconstruction error","token_prob":0,"is_target_logit":false,"run_idx":0,"reverse_ctx_idx":0,"jsNodeId":"2_0-0","clerp":"","influence":0.9,"activation":null},
 {"node_id":"13_11_0","feature":11,"layer":"13","ctx_idx":0,"feature_type":"logit","token_prob":0.4,"is_target_logit":true,"run_idx":0,"reverse_ctx_idx":0,"jsNodeId":"L_11-0","clerp":"Output \",\" (p=0.400)","influence":null,"activation":null,
  "qk_tracing_results":{"pair_wise_contributors":[],"top_q_marginal_contributors":[],"top_k_marginal_contributors":[]}}],
"links":[{"source":"E_7_0","target":"1_5_0","weight":1},{"source":"1_5_0","target":"13_11_0","weight":2},{"source":"2_-1_0","target":"13_11_0","weight":-1}]}`

	// Llamascopium: two layers for each, attention features, biases, layers as numbers.
	ofLorsa = `{"metadata":{"slug":"c","scan":"s","prompt_tokens":["Hi"],"prompt":"Hi","schema_version":1,"lorsa_analysis_name":"l"},"qParams":{"clickedId":null},
"nodes":[
 {"node_id":"E_7_0","feature":0,"layer":"E","ctx_idx":0,"feature_type":"embedding","jsNodeId":"E_7-0","clerp":""},
 {"node_id":"4_9_0","feature":100,"layer":4,"ctx_idx":0,"feature_type":"lorsa","jsNodeId":"4_9-0","clerp":"","activation":1},
 {"node_id":"5_9_0","feature":114,"layer":5,"ctx_idx":0,"feature_type":"cross layer transcoder","jsNodeId":"5_9-0","clerp":"","activation":2},
 {"node_id":"4_error_0","feature":-1,"layer":4,"ctx_idx":0,"feature_type":"lorsa error","jsNodeId":"4_error-0","clerp":""},
 {"node_id":"5_error_0","feature":-1,"layer":5,"ctx_idx":0,"feature_type":"mlp reconstruction error","jsNodeId":"5_error-0","clerp":""},
 {"node_id":"bias_4","feature":-1,"layer":4,"ctx_idx":0,"feature_type":"bias","jsNodeId":"bias-0","clerp":""},
 {"node_id":"24_3_0","feature":3,"layer":24,"ctx_idx":0,"feature_type":"logit","token_prob":0.5,"jsNodeId":"L_3-0","clerp":"Output \"a\" (p=0.500)"}],
"links":[{"source":"E_7_0","target":"4_9_0","weight":1},{"source":"4_9_0","target":"5_9_0","weight":2},{"source":"bias_4","target":"5_9_0","weight":4},
 {"source":"4_error_0","target":"5_9_0","weight":3},{"source":"5_error_0","target":"24_3_0","weight":5}]}`

	// The frontend's first version: no schema version, features by numbers that are no
	// Cantor pairs, no influence and no activation.
	ofFirstFrontend = `{"metadata":{"slug":"d","scan":"s","prompt_tokens":["Hi"],"prompt":"Hi"},"qParams":{"pinnedIds":[],"supernodes":[],"linkType":"both","clickedId":"","sg_pos":""},
"nodes":[
 {"node_id":"E_7_0","feature":0,"layer":"E","ctx_idx":0,"feature_type":"embedding","token_prob":0,"is_target_logit":false,"run_idx":0,"reverse_ctx_idx":0,"jsNodeId":"E_7-0","clerp":""},
 {"node_id":"1_26_0","feature":26,"layer":"1","ctx_idx":0,"feature_type":"cross layer transcoder","token_prob":0,"is_target_logit":false,"run_idx":0,"reverse_ctx_idx":0,"jsNodeId":"1_26-0","clerp":""},
 {"node_id":"x","feature":5000000123,"layer":"1","ctx_idx":0,"feature_type":"cross layer transcoder","token_prob":0,"is_target_logit":false,"run_idx":0,"reverse_ctx_idx":0,"jsNodeId":"x","clerp":""},
 {"node_id":"13_11_0","feature":11,"layer":"13","ctx_idx":0,"feature_type":"logit","token_prob":0.4,"is_target_logit":true,"run_idx":0,"reverse_ctx_idx":0,"jsNodeId":"L_11-0","clerp":"Output \",\" (p=0.400)"}],
"links":[{"source":"E_7_0","target":"1_26_0","weight":1},{"source":"1_26_0","target":"13_11_0","weight":2},{"source":"x","target":"13_11_0","weight":3}]}`
)

// edge is a weight that must be there.
type edge struct {
	target, source ID
	weight         float64
}

// TestReadOtherPrograms: nodes and edges of each writer are what they mean there, and
// what is written again is in the public schema with unique names.
func TestReadOtherPrograms(t *testing.T) {
	hi, you, not := ID{Token, 0, 1, 0}, ID{Logit, 12, 2, 0}, ID{Logit, 12, 2, 1}
	for name, c := range map[string]struct {
		text  string
		nodes int
		edges []edge
	}{
		"attribute": {ofAttribute, 7, []edge{{ID{Feature, 2, 2, 9}, hi, 2.5}, {not, ID{Feature, 2, 2, 9}, -.25}, {you, ID{Error, 3, 2, 0}, .125}}},
		"site": {ofSite, 4, []edge{{ID{Feature, 1, 0, 5}, ID{Token, 0, 0, 7}, 1}, {ID{Logit, 12, 0, 11}, ID{Feature, 1, 0, 5}, 2},
			{ID{Logit, 12, 0, 11}, ID{Error, 2, 0, 0}, -1}}},
		"lorsa": {ofLorsa, 7, []edge{{ID{Feature, 4, 0, 9}, ID{Token, 0, 0, 7}, 1}, {ID{Feature, 5, 0, 9}, ID{Feature, 4, 0, 9}, 2},
			{ID{Feature, 5, 0, 9}, ID{Error, 4, 0, 0}, 3}, {ID{Feature, 5, 0, 9}, ID{Bias, 4, 0, 0}, 4}, {ID{Logit, 23, 0, 3}, ID{Error, 5, 0, 0}, 5}}},
		"first frontend": {ofFirstFrontend, 4, []edge{{ID{Feature, 1, 0, 26}, ID{Token, 0, 0, 7}, 1}, {ID{Logit, 12, 0, 11}, ID{Feature, 1, 0, 26}, 2},
			{ID{Logit, 12, 0, 11}, ID{Feature, 1, 0, 5000000123}, 3}}},
	} {
		g, v := readText(t, c.text)
		if len(g.Nodes) != c.nodes {
			t.Errorf("%s: %d nodes, wants %d", name, len(g.Nodes), c.nodes)
		}
		for _, e := range c.edges {
			at, from := g.Find(e.target), g.Find(e.source)
			if at < 0 || from < 0 || g.Weight(at, from) != e.weight {
				t.Errorf("%s: edge %+v is not in %v", name, e, g.Nodes)
			}
		}
		text := writeJSON(t, g, v)
		if faults := ValidateJSON(text); len(faults) > 0 {
			t.Errorf("%s: written again: %v", name, faults)
		}
		again, _ := readText(t, string(text))
		for _, e := range c.edges {
			if at, from := again.Find(e.target), again.Find(e.source); at < 0 || from < 0 || again.Weight(at, from) != e.weight {
				t.Errorf("%s: edge %+v is lost in writing", name, e)
			}
		}
	}
}

func readText(t *testing.T, text string) (*Graph, View) {
	t.Helper()
	return readJSON(t, []byte(text))
}

// TestReadOtherDetails: labels, views, layers and what a file does not say.
func TestReadOtherDetails(t *testing.T) {
	g, _ := readText(t, ofAttribute)
	if g.Settings.Layers != 12 || len(g.IDs) > 0 || len(g.Tokens) != 3 {
		t.Errorf("attribute: %d layers, token ids %v, which the file does not have, tokens %q", g.Settings.Layers, g.IDs, g.Tokens)
	}
	if n := g.Nodes[g.TopTarget()]; n.Label != " you" || n.Prob != float64(float32(.6)) {
		t.Errorf("attribute: the top logit is %+v", n)
	}
	unsaid, _ := readText(t, strings.Replace(ofAttribute, `"n_layers":12,`, "", 1))
	if unsaid.Find(ID{Logit, 4, 2, 0}) < 0 {
		t.Errorf("without the number of layers: %v", unsaid.Nodes)
	}
	g, v := readText(t, ofSite)
	f := ID{Feature, 1, 0, 5}
	if !slices.Equal(v.Pinned, []ID{f, {Token, 0, 0, 7}}) || v.HasClicked || v.LinkType != "either" || v.Positions != "1 2" ||
		len(v.Groups) != 1 || v.Groups[0].Label != "greeting" || !slices.Equal(v.Groups[0].Nodes, []ID{f}) {
		t.Errorf("site: the view is %+v", v)
	}
	if n := g.Nodes[g.Find(f)]; n.Label != "says hi" || n.Activation != 3 || !slices.Equal(g.IDs, []int32{7}) || g.Settings.NodeCut != .7 || g.Settings.EdgeCut != .9 {
		t.Errorf("site: feature %+v, ids %v, cuts %g and %g", n, g.IDs, g.Settings.NodeCut, g.Settings.EdgeCut)
	}
	biased, _ := readText(t, ofLorsa)
	if e, worst := biased.CheckRows(); e != -1 || worst != -1 {
		t.Errorf("rows of a graph without values miss them by %g", e)
	}
	lists := strings.NewReplacer(`"1_5_0,gone,E_7_0"`, `["1_5_0","gone","E_7_0"]`, `"[[\"greeting\",\"1_5_0\",\"gone\"]]"`, `[["greeting","1_5_0","gone"]]`,
		`[["1_5_0","says hi"]]`, `"[[\"1_5_0\",\"says hi\"]]"`).Replace(ofSite)
	h, w := readText(t, lists)
	if lists == ofSite || !bytes.Equal(writeJSON(t, h, w), writeJSON(t, g, v)) {
		t.Error("site: lists in place of texts are another view")
	}
}

// TestReadJSONRefuses: numbers that are not finite name their node or link, a logit
// needs a token, and a text beyond the budget is not read.
func TestReadJSONRefuses(t *testing.T) {
	for want, text := range map[string]string{
		`node "1_5_0" has the value NaN`:                          strings.Replace(ofSite, `"activation":3`, `"activation":NaN`, 1),
		`node "1_5_0" has the value -Infinity`:                    strings.Replace(ofSite, `"influence":0.5`, `"influence":-Infinity`, 1),
		`link from "E_7_0" to "1_5_0" has the value Infinity`:     strings.Replace(ofSite, `"weight":1}`, `"weight":Infinity}`, 1),
		"f1/5@0 has the value +Inf":                               strings.Replace(ofSite, `"activation":3`, `"activation":1e999`, 1),
		`node 3, "13_11_0": a logit needs its token as feature`:   strings.Replace(ofSite, `"feature":11`, `"feature":null`, 1),
		"it has no logit":                                         strings.NewReplacer(`"feature_type":"logit"`, `"feature_type":"unknown"`, `"layer":"13"`, `"layer":"12"`).Replace(ofSite),
		`layer "-1" is no layer number`:                           strings.Replace(ofSite, `"layer":"1"`, `"layer":"-1"`, 1),
		"the name \"2_-1_0\" belongs to both f1/5@0 and e2@0":     strings.ReplaceAll(ofSite, `"1_5_0"`, `"2_-1_0"`),
		`nodes "1_5_0" and "copy" are both f1/5@0`:                strings.Replace(ofSite, `{"node_id":"2_-1_0","feature":-1,"layer":"2","ctx_idx":0,"feature_type":"mlp reconstruction error"`, `{"node_id":"copy","feature":26,"layer":"1","ctx_idx":0,"feature_type":"cross layer transcoder"`, 1),
		`there is no node "gone"`:                                 strings.Replace(ofSite, `{"source":"E_7_0"`, `{"source":"gone"`, 1),
		"qParams.pinnedIds":                                       strings.Replace(ofSite, `"1_5_0,gone,E_7_0"`, `[7]`, 1),
		"has layer 1, position -1 and index 5; none may be negat": strings.Replace(ofSite, `"layer":"1","ctx_idx":0`, `"layer":"1","ctx_idx":-1`, 1),
	} {
		if _, _, err := ReadJSON(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, wants one line with %q", err, want)
		}
	}
	if faults := ValidateJSON([]byte(strings.Replace(ofSite, `"activation":3`, `"activation":NaN`, 1))); len(faults) != 1 || !strings.Contains(faults[0].Error(), `node "1_5_0" has the value NaN`) {
		t.Errorf("validate: %v", faults)
	}
	size := int64(len(ofSite))
	if _, _, err := readJSONWithin(strings.NewReader(ofSite), size); err != nil {
		t.Errorf("a text of just the budget: %v", err)
	}
	if _, _, err := readJSONWithin(strings.NewReader(ofSite), size-1); err == nil || !strings.Contains(err.Error(), "longer than the budget") {
		t.Errorf("a text beyond the budget: %v", err)
	}
}
