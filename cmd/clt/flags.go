package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// commaList is a flag that may be given several times, and several values at once.
type commaList []string

func (l *commaList) String() string { return strings.Join(*l, ",") }
func (l *commaList) Set(s string) error {
	if s == "," || strings.HasPrefix(s, "[") { // the token, or one list of numbers
		*l = append(*l, s)
		return nil
	}
	*l = append(*l, strings.Split(s, ",")...)
	return nil
}

// idList is a flag with token ids.
type idList []int32

func (l *idList) String() string {
	words := make([]string, len(*l))
	for i, id := range *l {
		words[i] = fmt.Sprint(id)
	}
	return strings.Join(words, ",")
}

func (l *idList) Set(s string) error {
	ids, err := parseIDs(s)
	*l = append(*l, ids...)
	return err
}

// parseIDs reads ids with commas or spaces between them.
func parseIDs(s string) ([]int32, error) {
	var ids []int32
	if parts := strings.Split(strings.TrimRight(s, ", "), ","); len(parts) > 1 {
		for _, part := range parts {
			if strings.Trim(part, " []") == "" {
				return nil, fmt.Errorf("there is no token id on one side of a comma")
			}
		}
	}
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '[' || r == ']' }) {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not a token id", word)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// what parts of wire.Setup a verb has flags for.
const (
	hasCLT = 1 << iota
	hasDType
)

func setupFlags(f *flag.FlagSet, parts int) *wire.Setup {
	s := &wire.Setup{}
	f.StringVar(&s.Model, "model", "pocket", "`model`: pocket, a Hugging Face folder, or a fetched name")
	f.StringVar(&s.Backend, "backend", "", "`backend`: go, xla, xla:cpu, xla:cuda or the absolute path of a plugin (default: the fastest there is)")
	if parts&hasCLT != 0 {
		f.StringVar(&s.CLT, "clt", "pocket", "`transcoder`: pocket, pocket-batchtopk, pocket-per-layer, or a folder")
	}
	if parts&hasDType != 0 {
		f.StringVar(&s.DType, "dtype", "f32", "number `type`: f32, f64, or bf16 to run and generate on XLA")
	}
	return s
}

// promptFlags are the three ways to say what the model reads.
type promptFlags struct {
	text string
	ids  idList
	bos  bool
	long bool // it may be longer than the context
}

func addPrompt(f *flag.FlagSet) *promptFlags {
	p := &promptFlags{}
	f.StringVar(&p.text, "prompt", "", "the prompt, as `text`")
	f.Var(&p.ids, "ids", "the prompt, as token `ids` 1,2,3 that are used as they are")
	f.BoolVar(&p.bos, "bos", true, "put <|endoftext|> in front of the text")
	return p
}

// prompt is what the flags say.
func (p *promptFlags) prompt(c *call) (wire.Prompt, error) {
	switch {
	case c.given["prompt"] && c.given["ids"]:
		return wire.Prompt{}, badCall("-prompt and -ids are both given; give one")
	case c.given["prompt"] && p.text == "", c.given["ids"] && len(p.ids) == 0:
		return wire.Prompt{}, badCall("the prompt is empty; give a text with -prompt or token ids with -ids")
	case !c.given["prompt"] && !c.given["ids"]:
		return wire.Prompt{}, badCall("no prompt; give -prompt TEXT or -ids 1,2,3")
	}
	return wire.Prompt{Text: p.text, IDs: p.ids, NoBOS: !p.bos}, nil
}

// otherFlags are the prompt that swaps take activations from.
type otherFlags struct {
	text string
	ids  idList
}

func addOther(f *flag.FlagSet) *otherFlags {
	o := &otherFlags{}
	f.StringVar(&o.text, "other", "", "`text` of another prompt, for edits that take activations from it (L,P,F=@Q)")
	f.Var(&o.ids, "other-ids", "token `ids` of another prompt")
	return o
}

// prompt is what the flags say, nil for nothing.
func (o *otherFlags) prompt(c *call, bos bool) (*wire.Prompt, error) {
	switch {
	case c.given["other"] && c.given["other-ids"]:
		return nil, badCall("-other and -other-ids are both given; give one")
	case c.given["other"] && o.text == "", c.given["other-ids"] && len(o.ids) == 0:
		return nil, badCall("the other prompt is empty; give a text with -other or token ids with -other-ids")
	case !c.given["other"] && !c.given["other-ids"]:
		return nil, nil
	}
	return &wire.Prompt{Text: o.text, IDs: o.ids, NoBOS: !bos}, nil
}

// checkOther refuses another prompt that does not fit the model.
func (c *call) checkOther(set wire.Setup, other *wire.Prompt) error {
	if other == nil {
		return nil
	}
	if _, err := c.service().Tokens(c.ctx, wire.TokensRequest{Setup: set, Prompt: *other}, nil); err != nil {
		return usageError{fmt.Errorf("the other prompt: %w", err)}
	}
	return nil
}

// open opens model and transcoder, so that what is wrong with the call is told
// from what is wrong with the work.
func (c *call) open(set wire.Setup, withCLT bool) (wire.ModelInfo, error) {
	switch set.DType {
	case "", "f32", "f64", "bf16":
	default:
		return wire.ModelInfo{}, badCall("-dtype %s is not known; use f32, f64 or bf16", set.DType)
	}
	if !knownBackend(set.Backend) {
		return wire.ModelInfo{}, badCall("-backend %s is not known; use go, xla, xla:cpu, xla:cuda or the absolute path of a PJRT plugin", set.Backend)
	}
	if _, err := engine.FindModel(set.Model); err != nil && set.Model != "pocket" {
		return wire.ModelInfo{}, usageError{err}
	}
	if !withCLT {
		set.CLT = ""
	}
	if info, err := os.Stat(set.CLT); withCLT && (err != nil || !info.IsDir()) {
		if _, ok := pocket.CLT(set.CLT); !ok {
			_, _, err := engine.OpenCLT(set.CLT) // the engine's words
			return wire.ModelInfo{}, usageError{err}
		}
	}
	return c.service().Open(c.ctx, wire.OpenRequest{Setup: set, WithCLT: withCLT}, nil)
}

// openPrompt is open, and a prompt that fits the model.
func (c *call) openPrompt(set wire.Setup, withCLT bool, p *promptFlags) (wire.Prompt, error) {
	prompt, err := p.prompt(c)
	if err != nil {
		return prompt, err
	}
	if _, err := c.open(set, withCLT); err != nil {
		return prompt, err
	}
	if _, err := c.service().Tokens(c.ctx, wire.TokensRequest{Setup: set, Prompt: prompt, Long: p.long}, nil); err != nil {
		return prompt, usageError{err}
	}
	return prompt, nil
}

func knownBackend(name string) bool {
	switch name {
	case "", "auto", "go", "xla", "xla:cpu", "xla:cuda":
		return true
	}
	return strings.HasPrefix(name, "go:") || filepath.IsAbs(strings.TrimPrefix(name, "xla:"))
}

// textFlags say what is read: files, or the sentences of the pocket world.
type textFlags struct {
	files list
	world bool
}

func addTexts(f *flag.FlagSet) *textFlags {
	t := &textFlags{}
	f.Var(&t.files, "texts", "`source` of texts: a file (txt, jsonl, parquet; gz, zst), a folder, a pattern, or hub:DATASET[@REVISION][:PATTERN]; #FIELD at its end names a field or column other than text; further ones may follow, or the flag again")
	f.BoolVar(&t.world, "world", false, "use the sentences of the pocket world")
	return t
}

// check returns the files, the arguments of the call included, and whether the
// world is meant.
func (t *textFlags) check(c *call) ([]string, bool, error) {
	files := append(t.files[:len(t.files):len(t.files)], c.args...)
	switch {
	case len(files) > 0 && t.world:
		return nil, false, badCall("-texts and -world are both given; give one")
	case len(files) == 0 && !t.world:
		return nil, false, badCall("nothing to read; give -texts FILE or -world")
	}
	return files, t.world, checkSources(files)
}

// checkSources refuses texts that are not there.
func checkSources(sources []string) error {
	for _, s := range sources {
		if err := engine.CheckSource(s); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// checkFiles refuses files that are not there.
func checkFiles(files []string) error {
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			return badCall("%w; check the path", err)
		}
		if info.IsDir() {
			return badCall("%s is a folder; name its files", name)
		}
	}
	return nil
}
