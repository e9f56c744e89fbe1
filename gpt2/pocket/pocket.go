package pocket

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/gomlx/compute"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

//go:embed all:data
var data embed.FS

// Name is what the model is called wherever a model is named.
const Name = "pocket"

// transcoders are the shipped ones by name.
var transcoders = map[string]string{
	"pocket":           "data/clt",
	"pocket-batchtopk": "data/batchtopk",
	"pocket-per-layer": "data/per-layer",
}

// Open makes the embedded model on a backend.
func Open(b compute.Backend, opts gpt2.LoadOptions) (*gpt2.Model, error) {
	read := func(name string) ([]byte, error) {
		d, err := data.ReadFile("data/model/" + name)
		if err != nil {
			return nil, fmt.Errorf("pocket: the embedded model has no %s; run make pocket", name)
		}
		return d, nil
	}
	config, err := read("config.json")
	if err != nil {
		return nil, err
	}
	weights, err := read("model.safetensors")
	if err != nil {
		return nil, err
	}
	vocab, err := read("vocab.json")
	if err != nil {
		return nil, err
	}
	merges, err := read("merges.txt")
	if err != nil {
		return nil, err
	}
	m, err := gpt2.Parse(b, Name, config, weights, opts)
	if err != nil {
		return nil, err
	}
	if m.Tokenizer, err = tokenizer.FromFiles(vocab, merges); err != nil {
		return nil, fmt.Errorf("pocket: %w", err)
	}
	return m, nil
}

// CLT returns the files of a shipped transcoder: "pocket" (JumpReLU),
// "pocket-batchtopk", or "pocket-per-layer" (the baseline).
func CLT(name string) (fs.FS, bool) {
	dir, ok := transcoders[name]
	if !ok {
		return nil, false
	}
	sub, err := fs.Sub(data, dir)
	return sub, err == nil
}

// Card is the model card, in Markdown.
func Card() string {
	d, err := data.ReadFile("data/README.md")
	if err != nil {
		return ""
	}
	return string(d)
}
