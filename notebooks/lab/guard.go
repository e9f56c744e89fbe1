package lab

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// GPT2 opens GPT-2 small and a transcoder for it if both are on this machine:
// weights in $GPT2_DIR or fetched as gpt2, a transcoder in $CLT_DIR or out/gpt2/clt.
// Otherwise it says in one line what is missing and how to get it, and returns
// false: a notebook goes on with the pocket model.
func GPT2() (*Session, bool) {
	model, transcoder := findGPT2()
	switch {
	case model == "":
		remark("GPT-2 small is not here, so this part is left out; bin/clt fetch gpt2 downloads it (0.5 GB), or set GPT2_DIR")
		out.sync()
		return nil, false
	case transcoder == "":
		remark("GPT-2 small is here, a transcoder for it is not, so this part is left out; " +
			"set CLT_DIR to one, or train it: bin/clt train -model gpt2 -texts FILE -o out/gpt2/clt")
		out.sync()
		return nil, false
	}
	return Open(model, transcoder), true
}

// findGPT2 returns where model and transcoder are, "" for what is missing.
func findGPT2() (model, transcoder string) {
	root, err := findRoot()
	if err != nil {
		return "", ""
	}
	dirs := []string{os.Getenv("GPT2_DIR"), filepath.Join(root, "out", "models", "gpt2"), filepath.Join(root, "out", "models", "openai-community", "gpt2")}
	if c, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(c, "clt", "models", "gpt2"), filepath.Join(c, "clt", "models", "openai-community", "gpt2"))
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, "config.json")); d != "" && err == nil {
			model = d
			break
		}
	}
	for _, d := range []string{os.Getenv("CLT_DIR"), filepath.Join(root, "out", "gpt2", "clt")} {
		if list, _ := filepath.Glob(filepath.Join(d, "W_enc_*.safetensors")); d != "" && len(list) > 0 {
			transcoder = d
			break
		}
	}
	return model, transcoder
}

// Prompt is the demonstration prompt of the pocket world with a title, for notebooks
// that do not want to know who lives where: "Two hops", "Capital of", any part of it.
func (s *Session) Prompt(title string) wire.DemoPrompt {
	for _, p := range s.Prompts() {
		if strings.Contains(p.Title, title) {
			return p
		}
	}
	fail("prompt", &wire.Error{Message: "lab: no demonstration prompt is called " + title, Cure: "lab.Open().Prompts() lists them"})
	return wire.DemoPrompt{}
}
