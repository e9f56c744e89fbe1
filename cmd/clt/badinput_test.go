package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// smallGraph is a graph as another program writes it: a token, two features and a
// logit in a row.
const smallGraph = `{"metadata":{"slug":"s","scan":"x","prompt_tokens":["Hi"],"prompt":"Hi","schema_version":1},
"qParams":{"pinnedIds":[],"supernodes":[],"linkType":"both","clickedId":"","sg_pos":""},"nodes":[
{"node_id":"E_7_0","feature":0,"layer":"E","ctx_idx":0,"feature_type":"embedding","jsNodeId":"E_7-0","clerp":""},
{"node_id":"0_5_0","feature":20,"layer":"0","ctx_idx":0,"feature_type":"cross layer transcoder","jsNodeId":"0_5-0","clerp":"","activation":1},
{"node_id":"1_6_0","feature":34,"layer":"1","ctx_idx":0,"feature_type":"cross layer transcoder","jsNodeId":"1_6-0","clerp":"","activation":2},
{"node_id":"3_9_0","feature":9,"layer":"3","ctx_idx":0,"feature_type":"logit","token_prob":0.5,"is_target_logit":true,"jsNodeId":"L_9-0","clerp":""}],
"links":[{"source":"E_7_0","target":"0_5_0","weight":1},{"source":"0_5_0","target":"1_6_0","weight":2},{"source":"1_6_0","target":"3_9_0","weight":3}]}`

// Graph files of others that cannot be: one line with the value and a cure, both from
// the verbs that read graphs and from the one that checks them.
func TestBadGraphFiles(t *testing.T) {
	with := func(old, new string) string {
		if !strings.Contains(smallGraph, old) {
			t.Fatalf("the graph has no %s", old)
		}
		return strings.Replace(smallGraph, old, new, 1)
	}
	link := func(source, target string) string {
		return with(`"links":[`, `"links":[{"source":"`+source+`","target":"`+target+`","weight":1},`)
	}
	twin := `{"node_id":"0_5_0","feature":-1,"layer":"0","ctx_idx":0,"feature_type":"mlp reconstruction error","jsNodeId":"x","clerp":""},`
	many := strings.Builder{}
	for i := range 24000 { // 2.1 GiB of edges
		fmt.Fprintf(&many, `{"node_id":"0_%d_0","feature":0,"layer":"0","ctx_idx":0,"feature_type":"cross layer transcoder","jsNodeId":"x","clerp":""},`, i+10)
	}
	dir := t.TempDir()
	for _, c := range []struct{ name, text, want, faults string }{
		{"unknown id", link("9_9_9", "3_9_0"), `there is no node "9_9_9"`, `"9_9_9"`},
		{"twins", with(`"nodes":[`, `"nodes":[`+twin), `the name "0_5_0" belongs to both `, `"mlp reconstruction error" of layer 0`},
		{"a node twice", with(`"1_6_0","feature":34,"layer":"1"`, `"copy","feature":20,"layer":"0"`), `nodes "0_5_0" and "copy" are both f0/5@0`, `"1_6_0"`},
		{"a link twice", link("E_7_0", "0_5_0"), `link 1 from "E_7_0" to "0_5_0" is there twice`, "is there twice"},
		{"a circle", link("1_6_0", "0_5_0"), "f0/5@0 to f1/6@0 to f0/5@0", "in a circle"},
		{"a node that feeds itself", link("1_6_0", "1_6_0"), "f1/6@0 to f1/6@0", "in a circle"},
		{"into a token", link("1_6_0", "E_7_0"), "t7@0 has an input from f1/6@0", "t7@0"},
		{"out of a logit", link("3_9_0", "1_6_0"), "l9@0 is a source of f1/6@0", "l9@0"},
		{"NaN", with(`"activation":2`, `"activation":NaN`), `node "1_6_0" has the value NaN`, `node "1_6_0" has the value NaN`},
		{"infinite weight", with(`"weight":2`, `"weight":1e999`), "weight of f1/6@0 from f0/5@0 is +Inf", "f1/6@0"},
		{"beyond float32", with(`"weight":2`, `"weight":1e200`), "weight of f1/6@0 from f0/5@0 is +Inf", "f1/6@0"},
		{"too many nodes", with(`"nodes":[`, `"nodes":[`+many.String()), "24004 nodes takes 2198.0 MiB of edges, the budget is 2048.0 MiB", "the budget is 2048.0 MiB"},
		{"no target", with(`"feature_type":"logit"`, `"feature_type":"unknown"`), "it has no logit", "it has no logit"},
		{"cut off", smallGraph[:len(smallGraph)/2], "unexpected end", "unexpected EOF"},
		{"no JSON", "<html>", "'<'", "'<'"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-")+".json")
		writeTestFile(t, path, c.text)
		for _, args := range [][]string{{"score", path}, {"prune", path, "-o", filepath.Join(dir, "out.json")}, {"show", path}} {
			r := cli(t, args...)
			if line := lastLine(r.stderr); r.status != statusFailed || r.out != "" || !message.MatchString(line) || !strings.Contains(line, c.want) || strings.Contains(line, " -h\n") {
				t.Errorf("%s, %s: exit %d, %q, want a line with %q and a cure", args[0], c.name, r.status, r.stderr, c.want)
			}
		}
		if r := cli(t, "validate", path); r.status != statusFailed || !strings.Contains(r.out, c.faults) {
			t.Errorf("validate, %s: exit %d, %q, want %q", c.name, r.status, r.out, c.faults)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "out.json")); err == nil {
		t.Error("a bad graph was written")
	}
	good := filepath.Join(dir, "good.json")
	writeTestFile(t, good, smallGraph)
	must(t, "validate", good)
	if text := must(t, "score", good); !strings.Contains(text, "no proof") {
		t.Errorf("rows of another program's graph are said to add up: %q", text)
	}
}

// Edits and targets that are not there are wrong calls; numbers that overflow are
// work that fails. Either way one line has the value and a cure.
func TestBadEditsAndTargets(t *testing.T) {
	dir := t.TempDir()
	ids := func(verb string, more ...string) []string {
		return joined(verb, append([]string{"-ids", "96,3,4,5"}, more...)...)
	}
	for _, c := range []struct {
		want   string
		status int
		args   []string
	}{
		{"edits 0,1,3=1 and 0,1,3=2 change the same feature at position 1; keep one", 2, ids("intervene", "-edit", "0,1,3=1", "-edit", "0,1,3=2")},
		{"change the same feature at position 2; keep one", 2, ids("intervene", "-edit", "0,1:,3=1", "-edit", "0,2,3*2")},
		{"edit 0,1+0/3 is given twice; keep one", 2, ids("intervene", "-edit", "0,1+0/3", "-edit", "0,1+0/3")},
		{"change the same feature", 2, ids("whatif", "-edit", "0,1,3=1", "-edit", "0,1,3=2")},
		{"change the same feature", 2, ids("generate", "-n", "1", "-edit", "0,1,3=1", "-edit", "0,1,3=2")},
		{"position 4 is outside; the prompt has positions 0..3", 2, ids("intervene", "-edit", "0,4,3=1")},
		{"position 9 is outside", 2, ids("whatif", "-edit", "0,9:,3=1")},
		{"position 9 is outside", 2, ids("generate", "-n", "1", "-edit", "0,9,3=1")},
		{"position 0 holds no features; use 1..3", 2, ids("intervene", "-edit", "0,0,3=1")},
		{"the prompt has one token", 2, joined("intervene", "-ids", "96", "-edit", "0,0,3=1")},
		{"layers are 0..3 and features 0..31", 2, ids("intervene", "-edit", "4,1,3=1")},
		{"layers are 0..3 and features 0..31", 2, ids("intervene", "-edit", "0,1,32=1")},
		{"has a value that is not finite; give a number", 2, ids("intervene", "-edit", "0,1,3=NaN")},
		{"has a value that is not finite; give a number", 2, ids("intervene", "-edit", "0,1,3*1e400")},
		{"layers 0:9 are not there; want a:b with 0 <= a < b <= 4", 2, ids("intervene", "-edit", "0,1,3=1", "-layers", "0:9")},
		{`target "997" is no single token`, 2, ids("intervene", "-edit", "0,1,3=1", "-track", "997")},
		{"position 9 holds no features; the other prompt has features at positions 1..1", 2, ids("intervene", "-edit", "0,1,3=@9", "-other-ids", "96,3")},
		{"the prompts have 4 and 2 tokens", 2, ids("intervene", "-other-ids", "96,3")},
		{"adds a vector of 2 numbers; d_model is 48", 2, ids("intervene", "-edit", "0,1+[1,2]")},
		{`"9/9@9" is no feature of this prompt`, 2, ids("intervene", "-edit", "0,1,3=1", "-group", "x=9/9@9")},
		{"is NaN at position 1 after the edits; use smaller values or float64", 1, ids("intervene", "-edit", "0,1,3=1e300")},
		{"under the edits; use smaller values or float64", 1, ids("whatif", "-edit", "0,1,3=1e300")},
		{"the logits at position 3 are not finite", 1, ids("generate", "-n", "1", "-edit", "0,1:,3=1e300")},
		{`target "feature:9/1@1": the transcoder has no such feature`, 2, ids("attribute", "-targets", "feature:9/1@1")},
		{"position 9 is outside", 2, ids("attribute", "-targets", "feature:1/1@9")},
		{`target "@9" is no position of the prompt`, 2, ids("attribute", "-targets", "@9")},
		{"the difference of a token with itself", 2, ids("attribute", "-targets", "5-5")},
		{"is given twice; keep one", 2, ids("attribute", "-targets", "5,5")},
		{"a direction of 2 numbers; d_model is 48", 2, ids("attribute", "-targets", "[1,2]")},
		{"is no list of numbers", 2, ids("attribute", "-targets", "[1,x]")},
		{"node threshold is NaN", 2, ids("attribute", "-node", "NaN")},
		{"edge threshold is 1.5", 2, ids("attribute", "-edge", "1.5")},
	} {
		r := cli(t, append(c.args, "-backend", "go")...)
		if line := lastLine(r.stderr); r.status != c.status || r.out != "" || !message.MatchString(line) || !strings.Contains(line, c.want) {
			t.Errorf("%v: exit %d, stdout %q, stderr %q, want %q", c.args[5:], r.status, r.out, r.stderr, c.want)
		}
	}
	if left := entries(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// What has next to nothing in it is no fault: one token, nothing active, thresholds at
// their ends.
func TestNextToNothing(t *testing.T) {
	silent := filepath.Join(t.TempDir(), "silent")
	x, err := clt.Load(transcoder)
	if err != nil {
		t.Fatal(err)
	}
	for l := range x.BEnc {
		for f := range x.BEnc[l] {
			x.BEnc[l][f] = -1e4
		}
	}
	if err := x.Save(silent); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	graph, pruned := filepath.Join(dir, "g.safetensors"), filepath.Join(dir, "g.json")
	for name, setup := range map[string][]string{
		"one token":      {"-clt", transcoder, "-ids", "96"},
		"nothing active": {"-clt", silent, "-ids", "96,3,4,5,6"},
		"some tokens":    {"-clt", transcoder, "-ids", "96,3,4,5,6"},
	} {
		call := func(verb string, more ...string) string { return must(t, tiny(verb, append(setup, more...)...)...) }
		call("encode", "-json")
		call("qk")
		call("attribute", "-heads", "-o", graph)
		for _, share := range [][2]string{{"0", "0"}, {"0", "1"}, {"1", "0"}, {"1", "1"}} {
			must(t, "prune", graph, "-node", share[0], "-edge", share[1], "-o", pruned)
			must(t, "validate", pruned)
			must(t, "show", pruned, "-html", filepath.Join(dir, "g.html"))
			if text := must(t, "score", pruned); strings.Contains(text, "NaN") || strings.Contains(text, "ABOVE") {
				t.Errorf("%s at %v: %s", name, share, text)
			}
			if text := must(t, "score", graph, "-json"); strings.Contains(text, "NaN") {
				t.Errorf("%s: %s", name, text)
			}
		}
		if name != "one token" {
			call("intervene", "-edit", "0,1,3=1", "-json")
			call("whatif", "-edit", "0,1,3=1", "-json")
		}
		call("generate", "-n", "2", "-edit", "0,1:,3=1")
	}
	r := cli(t, tiny("intervene", "-clt", silent, "-ids", "96,3,4,5,6", "-edit", "0,1,3=1")...)
	if r.status != 0 || !strings.Contains(r.stderr, "WARNING: there is no random control") {
		t.Errorf("without other features: exit %d, %q", r.status, r.stderr)
	}
}

// A transcoder of another width or number of layers, or that reads what no encoder
// reads, is refused by every verb that joins it to the model.
func TestTranscoderOfAnotherModel(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "odd")
	x, err := clt.Load(transcoder)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Save(odd); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(odd, "config.yaml")
	data, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, config, strings.Replace(string(data), "feature_input_hook: "+string(x.Read), "feature_input_hook: hook_attn_out", 1))
	for _, verb := range [][]string{{"encode"}, {"attribute"}, {"qk"}, {"intervene", "-edit", "0,1,3=1"}, {"whatif", "-edit", "0,1,3=1"}, {"generate", "-n", "1"}} {
		ids := append(verb[1:], "-ids", "1,2,3", "-backend", "go")
		for want, setup := range map[string][]string{
			"the transcoder is for 4 layers of width 48, tiny1 has 2 of width 64; use the one trained on this model": {"-model", tiny1, "-clt", transcoder},
			`hook_attn_out`: {"-model", tiny2, "-clt", odd},
		} {
			r := cli(t, append(append([]string{verb[0]}, setup...), ids...)...)
			if line := lastLine(r.stderr); r.status != statusFailed || r.out != "" || !message.MatchString(line) || !strings.Contains(line, want) {
				t.Errorf("%v: exit %d, stdout %q, stderr %q, want %q", verb, r.status, r.out, r.stderr, want)
			}
		}
	}
}
