package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// Fixtures: a random GPT-2 of 4 layers, 97 tokens and a context of 32, without a
// tokenizer, and a transcoder for it.
const (
	tiny2      = "../../gpt2/testdata/tiny2"
	tiny1      = "../../gpt2/testdata/tiny1" // another shape
	transcoder = "../../clt/replacement/testdata/clt_relu_resid_mid/transcoder"
)

// result is what a run left.
type result struct {
	status      int
	out, stderr string
}

// cli runs the program in this process.
func cli(t *testing.T, args ...string) result { return cliIn(t, "", args...) }

func cliIn(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, stderr bytes.Buffer
	status := run(context.Background(), args, strings.NewReader(stdin), &out, &stderr)
	return result{status, out.String(), stderr.String()}
}

// must is cli for a call that succeeds.
func must(t *testing.T, args ...string) string {
	t.Helper()
	r := cli(t, args...)
	if r.status != 0 {
		t.Fatalf("clt %s: exit %d, %s", strings.Join(args, " "), r.status, r.stderr)
	}
	return r.out
}

// tiny adds the fixtures to a call.
func tiny(verb string, args ...string) []string {
	return append([]string{verb, "-backend", "go", "-model", tiny2}, args...)
}

// joined adds the transcoder too.
func joined(verb string, args ...string) []string {
	return append([]string{verb, "-backend", "go", "-model", tiny2, "-clt", transcoder}, args...)
}

// message is the form of every error: one line, what and what to do.
var message = regexp.MustCompile(`^clt [a-z-]+: [^\n]+; [^\n]+\n$`)

// lastLine drops remarks that stand before the error.
func lastLine(s string) string {
	lines := strings.SplitAfter(strings.TrimRight(s, "\n"), "\n")
	return lines[len(lines)-1] + "\n"
}

func TestWrongCalls(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "text.txt")
	writeTestFile(t, file, "some text")
	badConfig := filepath.Join(dir, "config.json")
	writeTestFile(t, badConfig, `{"stepz": 3}`)
	badValue := filepath.Join(dir, "value.json")
	writeTestFile(t, badValue, `{"lambda": "x"}`)
	out := filepath.Join(dir, "x.safetensors")
	ids := []string{"-ids", "96,3,4,5"}
	with := func(first []string, more ...string) []string { return append(first, more...) }
	for _, c := range []struct {
		name, want string // what the message says
		args       []string
	}{
		{"unknown flag", "no flag -modle, did you mean model?", []string{"run", "-modle", "x"}},
		{"bad value", `invalid value "x"`, []string{"generate", "-n", "x"}},
		{"flag without value", "flag needs an argument", []string{"run", "-model"}},
		{"unexpected argument", `"hello" is not expected`, []string{"run", "hello"}},
		{"no prompt", "no prompt", tiny("run")},
		{"two prompts", "give one", with(tiny("run", ids...), "-prompt", "x")},
		{"empty prompt", "the prompt is empty", tiny("run", "-prompt", "")},
		{"empty ids", "the prompt is empty", tiny("run", "-ids", "")},
		{"an id left out", "no token id on one side of a comma", tiny("run", "-ids", "1,,2")},
		{"ids that are none", `"a" is not a token id`, tiny("run", "-ids", "1,a")},
		{"id out of range", "97", tiny("run", "-ids", "96,97")},
		{"negative id", "-1", tiny("run", "-ids", "96,-1")},
		{"too long", "32", tiny("run", "-ids", strings.Repeat("3,", 33))},
		{"no tokenizer", "tokenizer", tiny("run", "-prompt", "hello")},
		{"unknown model", `"nowhere"`, with([]string{"run", "-model", "nowhere"}, ids...)},
		{"unknown transcoder", `"nowhere"`, with(tiny("encode", ids...), "-clt", "nowhere")},
		{"unknown type", "-dtype f16", with(tiny("run", ids...), "-dtype", "f16")},
		{"unknown backend", "-backend tpu", with([]string{"run", "-model", tiny2, "-backend", "tpu"}, ids...)},
		{"hooks without file", "-hooks needs a file", with(tiny("run", ids...), "-hooks", "all")},
		{"unknown hook", "blocks.9.hook_mlp_out", with(tiny("run", ids...), "-hooks", "blocks.9.hook_mlp_out", "-o", out)},
		{"output is a folder", "is not a file", with(tiny("run", ids...), "-o", dir)},
		{"output is a device", "is not a file", with(tiny("run", ids...), "-o", os.DevNull)},
		{"output below a file", "is not a folder", with(tiny("run", ids...), "-o", file+"/x.safetensors")},
		{"generate nothing", "-n 0", with(tiny("generate", ids...), "-n", "0")},
		{"temperature", "-temperature -1", with(tiny("generate", ids...), "-temperature", "-1")},
		{"probability", "-top-p 2", with(tiny("generate", ids...), "-top-p", "2")},
		{"graph ending", ".png", with(joined("attribute", ids...), "-o", filepath.Join(dir, "g.png"))},
		{"compat", `"ct"`, with(joined("attribute", ids...), "-compat", "ct")},
		{"max logits", "-max-logits 0", with(joined("attribute", ids...), "-max-logits", "0")},
		{"threshold", "2", with(joined("attribute", ids...), "-node", "2")},
		{"missing graph", "missing.safetensors", []string{"score", filepath.Join(dir, "missing.safetensors")}},
		{"no graph", "0 graph files", []string{"score"}},
		{"two graphs", "2 graph files", []string{"prune", "a", "b"}},
		{"one graph to compare", "1 graph files", []string{"diff", "a"}},
		{"theme", "-theme pink", []string{"show", "-theme", "pink", "x.json"}},
		{"nothing to export", "nothing to write", []string{"export", "x.json"}},
		{"no edit", "no edit", with(joined("intervene", ids...))},
		{"edit", "0,1", with(joined("intervene", ids...), "-edit", "0,1")},
		{"mode", "-mode magic", with(joined("intervene", ids...), "-edit", "0,1,9=0", "-mode", "magic")},
		{"layers", "-layers 3:1", with(joined("intervene", ids...), "-edit", "0,1,9=0", "-layers", "3:1")},
		{"freeze", "-freeze fire", with(joined("intervene", ids...), "-edit", "0,1,9=0", "-freeze", "fire")},
		{"group", "-group x", with(joined("intervene", ids...), "-edit", "0,1,9=0", "-group", "x=1/2")},
		{"two other prompts", "give one", with(joined("intervene", ids...), "-other", "x", "-other-ids", "1")},
		{"empty other prompt", "the other prompt is empty", with(joined("intervene", ids...), "-other", "")},
		{"other prompt out of range", "the other prompt: ", with(joined("whatif", ids...), "-other-ids", "97")},
		{"no edit to predict", "no edit", with(joined("whatif", ids...))},
		{"head that is not there", "heads 0..", with(joined("qk", ids...), "-head", "99")},
		{"no feature", "give it as L/F", []string{"weights"}},
		{"what is no feature", `"x" is no feature`, []string{"weights", "x"}},
		{"feature that is not there", "no feature 9/1", []string{"weights", "9/1", "-backend", "go", "-model", tiny2, "-clt", transcoder}},
		{"weights of missing texts", "no such file", []string{"weights", "1/1", filepath.Join(dir, "none.txt")}},
		{"features: what", "give build, show", []string{"features"}},
		{"features: verb", "did you mean show", []string{"features", "shwo"}},
		{"features of nothing", "nothing to read", []string{"features", "build"}},
		{"features into a file", "is a file", []string{"features", "build", "-world", "-o", file}},
		{"features: which", "give it as L/F", []string{"features", "show", "-store", dir}},
		{"features: what is none", `"x" is no feature`, []string{"features", "show", "x", "-store", dir}},
		{"features: hits", "-top -1", []string{"features", "search", "-top", "-1", "-store", dir}},
		{"edges by head", "-head-edges 0", with(joined("attribute", ids...), "-head-edges", "0")},
		{"no texts", "nothing to read", tiny("train", "-o", dir)},
		{"missing texts", "no such file", tiny("train", "-texts", file, filepath.Join(dir, "none.txt"), "-o", dir)},
		{"texts and world", "give one", tiny("train", "-world", "-texts", file, "-o", dir)},
		{"no output", "-o is missing", tiny("train", "-world")},
		{"output folder is a file", "is a file", tiny("train", "-world", "-o", file)},
		{"activation", `"gelu"`, tiny("train", "-world", "-activation", "gelu", "-o", dir)},
		{"k without topk", "k is 3", tiny("train", "-world", "-k", "3", "-o", dir)},
		{"k too large", "-k 9", tiny("train", "-world", "-activation", "topk", "-k", "9", "-features", "4", "-o", dir)},
		{"read point", "hook_q", tiny("train", "-world", "-read", "hook_q", "-o", dir)},
		{"steps", "-steps 0", tiny("train", "-world", "-steps", "0", "-o", dir)},
		{"setting", `unknown key "stepz", did you mean steps?; known are accumulate, `, tiny("train", "-world", "-config", badConfig, "-o", dir)},
		{"setting of train-lm", `unknown key "stepz", did you mean steps?; known are `, []string{"train-lm", "-world", "-config", badConfig, "-o", dir}},
		{"value of a setting", "lambda is a string, wanted is a number", tiny("train", "-world", "-config", badValue, "-o", dir)},
		{"activation", "did you mean jumprelu?", tiny("train", "-world", "-activation", "jumpleru", "-o", dir)},
		{"lambda below 0", "lambda is -1, must be between 0 and", tiny("train", "-world", "-lambda", "-1", "-o", dir)},
		{"c of 0", "-c 0; give a number above 0", tiny("train", "-world", "-c", "0", "-o", dir)},
		{"resume and fresh", "-resume and -fresh are both given", tiny("train", "-world", "-resume", "-fresh", "-o", dir)},
		{"missing settings", "no such file", tiny("train", "-world", "-config", filepath.Join(dir, "none.json"), "-o", dir)},
		{"language model of two shapes", "-layers and -model", []string{"train-lm", "-world", "-model", "pocket", "-layers", "3", "-o", dir}},
		{"language model from nothing", "neither", []string{"train-lm", "-world", "-model", "nowhere", "-o", dir}},
		{"no sample", "-samples 0", []string{"generate", "-prompt", "The", "-samples", "0"}},
		{"repetition penalty", "-repetition-penalty -1", []string{"generate", "-prompt", "The", "-repetition-penalty", "-1"}},
		{"slide with a transcoder", "-slide goes with", []string{"generate", "-prompt", "The", "-slide", "-clt", "pocket"}},
		{"language model without texts", "nothing to read", []string{"train-lm", "-o", dir}},
		{"evaluation without texts", "nothing to read", joined("eval")},
		{"suite", "there are gpt2, ", []string{"bench", "coffee"}},
		{"shape", `"huge"`, []string{"bench", "-shape", "huge"}},
		{"bench length", "more than the context", []string{"bench", "-shape", "tiny", "-tokens", "65"}},
		{"notebooks: what", "run, clean, check or make", []string{"nb"}},
		{"notebooks: which", "no notebook", []string{"nb", "check"}},
		{"notebooks: verb", "nb eat", []string{"nb", "eat", file}},
		{"notebook missing", "none.ipynb", []string{"nb", "clean", filepath.Join(dir, "none.ipynb")}},
		{"report of nothing", "0 files", []string{"report"}},
		{"validate nothing", "nothing to check", []string{"validate"}},
		{"validate what", "neither a graph", []string{"validate", file}},
		{"socket", "no socket", []string{"engine"}},
		{"samples twice", "give one", []string{"practice", "-num-samples", "3", "-percent-samples", "4"}},
		{"share", "-percent-samples 101", []string{"practice", "-percent-samples", "101"}},
		{"no text", "no text", []string{"tokenize"}},
		{"text and lines", "not expected with -jsonl", []string{"tokenize", "-jsonl", "x"}},
		{"id outside", "50257", []string{"tokenize", "-model", "gpt2", "-decode", "50257"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := entries(t, dir)
			r := cli(t, c.args...)
			if r.status != statusUsage || r.out != "" {
				t.Errorf("exit %d, stdout %q, stderr %q", r.status, r.out, r.stderr)
			}
			if line := lastLine(r.stderr); !message.MatchString(line) || !strings.Contains(line, c.want) {
				t.Errorf("message %q, want one line with %q and a cure", r.stderr, c.want)
			}
			if after := entries(t, dir); after != before {
				t.Errorf("the folder held %s, now %s", before, after)
			}
		})
	}
}

// entries lists a folder.
func entries(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func writeTestFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	r := cli(t)
	if r.status != statusUsage || !strings.Contains(r.stderr, "usage: clt VERB") {
		t.Errorf("no arguments: exit %d, %q", r.status, r.stderr)
	}
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}} {
		if out := must(t, args...); !strings.Contains(out, "attribute") {
			t.Errorf("%v: %q", args, out)
		}
	}
	r = cli(t, "prun")
	if r.status != statusUsage || r.stderr != "clt: \"prun\" is not a verb, did you mean prune?; clt help lists them\n" {
		t.Errorf("unknown verb: exit %d, %q", r.status, r.stderr)
	}
	for _, v := range verbs() {
		a, b := must(t, v.name, "-h"), must(t, "help", v.name)
		if a != b || !strings.HasPrefix(a, "clt "+v.name+": ") {
			t.Errorf("%s -h gives %q, help gives %q", v.name, a, b)
		}
	}
	if r := cli(t, "help", "nothing"); r.status != statusUsage {
		t.Errorf("help nothing: exit %d", r.status)
	}
}

// Flags may stand anywhere; after -- nothing is a flag.
func TestInterleavedFlags(t *testing.T) {
	want := must(t, "tokenize", "-model", "gpt2", "Hello", " world")
	if got := must(t, "tokenize", "Hello", "-model", "gpt2", " world"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := must(t, "tokenize", "-model", "gpt2", "--", "-h"); got != "{\"ids\":[12,71],\"offsets\":[[0,1],[1,2]]}\n" {
		t.Errorf("got %q", got)
	}
}

// copyModel copies a model folder and hands its weights to change.
func copyModel(t *testing.T, change func(data []byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(tiny2, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "model.safetensors" {
			data = change(data)
		}
		writeTestFile(t, filepath.Join(dir, name), string(data))
	}
	return dir
}

// poisoned replaces one number of a tensor by NaN.
func poisoned(t *testing.T, data []byte, tensor string) []byte {
	t.Helper()
	f, err := safetensors.Parse("model.safetensors", data)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	part, err := f.Bytes(tensor)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, part)
	copy(data[at:], []byte{0, 0, 0xc0, 0x7f})
	return data
}
