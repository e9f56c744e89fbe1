package features

import (
	"fmt"
	"strings"
)

// Artifact is a file or folder by name and content.
type Artifact struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Origin says what a store was made of. What differs in a hash does not belong
// together.
type Origin struct {
	Model     Artifact `json:"model"`
	CLT       Artifact `json:"clt"`
	Tokenizer string   `json:"tokenizer_sha256"`
	Corpus    Artifact `json:"corpus"` // the hash is of the first windows
}

// Refuse is an error if a store of this origin is no store for a model, a
// transcoder and a tokenizer. Empty hashes are not compared.
func (i Origin) Refuse(model, clt, tokenizer string) error {
	for _, x := range []struct{ what, have, want string }{{"model", i.Model.SHA256, model}, {"transcoder", i.CLT.SHA256, clt}, {"tokenizer", i.Tokenizer, tokenizer}} {
		if x.have != "" && x.want != "" && x.have != x.want {
			return fmt.Errorf("features: the store was made with another %s (%s, this is %s); build it again", x.what, short(x.have), short(x.want))
		}
	}
	return nil
}

func short(hash string) string { return hash[:min(12, len(hash))] }

// passHeader is what a checkpoint must agree in.
type passHeader struct {
	Origin  Origin `json:"origin"`
	Config  Config `json:"config"`
	Rows    int    `json:"rows"` // windows of a step
	Length  int    `json:"length"`
	Backend string `json:"backend"` // bits differ between backends
}

// settings are what the bytes of a store depend on.
func (h passHeader) settings() passHeader {
	h.Config.CheckpointTokens = 0
	return passHeader{Config: h.Config, Rows: h.Rows, Length: h.Length}
}

// differs names what another header has otherwise, "" for nothing.
func (h passHeader) differs(now passHeader) string {
	var list []string
	for _, x := range []struct {
		what string
		same bool
	}{{"another model", h.Origin.Model.SHA256 == now.Origin.Model.SHA256}, {"another transcoder", h.Origin.CLT.SHA256 == now.Origin.CLT.SHA256},
		{"another tokenizer", h.Origin.Tokenizer == now.Origin.Tokenizer}, {"other texts", h.Origin.Corpus.SHA256 == now.Origin.Corpus.SHA256},
		{"other settings", h.settings() == now.settings()}, {"another backend", h.Backend == now.Backend}} {
		if !x.same {
			list = append(list, x.what)
		}
	}
	return strings.Join(list, " and ")
}
