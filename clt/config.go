package clt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/nearest"
	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

// Activation functions of the features.
const (
	ActReLU       = "relu"       // a = max(h, 0)
	ActJumpReLU   = "jumprelu"   // a = h where h > theta, one theta per feature
	ActTopK       = "topk"       // the K largest positive h of each layer and token
	ActGlobalTopK = "globaltopk" // not trained: the K·layers positive h of a token largest by h·‖W_dec‖, over all layers together; see ToJumpReLU for where they are not known at once
	ActTokenTopK  = "tokentopk"  // trained: the K·layers largest positive h of each token, over all layers; used: JumpReLU with one theta per layer
	ActBatchTopK  = "batchtopk"  // trained: the K·layers·tokens largest of a batch; used: JumpReLU with one fixed theta
)

// Config describes the architecture of a transcoder.
type Config struct {
	Layers     int       `json:"layers"`           // layers of the model under study
	DModel     int       `json:"d_model"`          // width of its residual stream
	Features   int       `json:"features"`         // features per layer
	Activation string    `json:"activation"`       // relu, jumprelu, topk, tokentopk, batchtopk or globaltopk
	K          int       `json:"k,omitempty"`      // active features per layer and token, for the kinds of topk
	Signed     bool      `json:"signed,omitempty"` // topk keeps the k largest of any sign, as circuit-tracer does, not the positive ones of these
	PerLayer   bool      `json:"per_layer"`        // each layer's features write to that layer only (a PLT)
	Skip       bool      `json:"skip"`             // each layer also has a linear map from what is read to what is written
	Read       gpt2.Site `json:"input_hook"`       // what the encoders read
	Model      string    `json:"model,omitempty"`  // name of the model under study
}

// ActivationNames lists the activation functions that a transcoder may have; all but
// globaltopk can be trained.
func ActivationNames() []string {
	return []string{ActReLU, ActJumpReLU, ActTopK, ActTokenTopK, ActBatchTopK, ActGlobalTopK}
}

// DefaultConfig returns a JumpReLU cross-layer transcoder that reads the input
// of the MLP, with 512 features per layer.
func DefaultConfig(layers, dModel int) Config {
	return Config{Layers: layers, DModel: dModel, Features: 512, Activation: ActJumpReLU, Read: gpt2.MLPIn}
}

// ReadSites lists the activations that encoders may read, all [batch, pos, d_model].
func ReadSites() []gpt2.Site {
	return []gpt2.Site{gpt2.MLPIn, gpt2.Ln2Normalized, gpt2.ResidMid}
}

// Targets is the number of layers that the features of a layer write to.
func (c Config) Targets(layer int) int {
	if c.PerLayer {
		return 1
	}
	return c.Layers - layer
}

// HasThreshold says whether features have a threshold at inference.
func (c Config) HasThreshold() bool {
	return c.Activation == ActJumpReLU || c.selects()
}

// TakesK says whether an activation keeps a given number of features.
func TakesK(activation string) bool {
	return activation == ActTopK || activation == ActTokenTopK || activation == ActBatchTopK
}

// selects says whether training keeps the largest pre-activations of several
// layers, which needs all of them at once, and use a threshold instead.
func (c Config) selects() bool { return c.Activation == ActBatchTopK || c.Activation == ActTokenTopK }

// NumParameters counts encoder and decoder weights, biases, thresholds and skip
// weights: L·F·d + L(L+1)/2·F·d + 2·L·F + L·d for a JumpReLU CLT.
func (c Config) NumParameters() int {
	n := 0
	for l := range c.Layers {
		n += c.Features*c.DModel*(1+c.Targets(l)) + c.Features + c.DModel
		if c.HasThreshold() {
			n += c.Features
		}
		if c.Skip {
			n += c.DModel * c.DModel
		}
	}
	return n
}

// Validate names the first field that cannot be, and what it may be.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"layers", c.Layers}, {"d_model", c.DModel}, {"features", c.Features}} {
		if f.value <= 0 {
			return fmt.Errorf("clt: config: %s is %d, must be positive", f.name, f.value)
		}
	}
	switch c.Activation {
	case ActReLU, ActJumpReLU:
		if c.K != 0 {
			return fmt.Errorf("clt: config: k is %d, but activation %s takes none; set it to 0", c.K, c.Activation)
		}
	case ActTopK, ActTokenTopK, ActBatchTopK, ActGlobalTopK:
		if c.K <= 0 || c.K > c.Features {
			return fmt.Errorf("clt: config: k is %d, must be between 1 and features (%d) for activation %s", c.K, c.Features, c.Activation)
		}
	default:
		return fmt.Errorf("clt: config: activation is %q%s; must be one of %s", c.Activation, nearest.DidYouMean(strings.ToLower(c.Activation), ActivationNames()), strings.Join(ActivationNames(), ", "))
	}
	if c.Signed && c.Activation != ActTopK {
		return fmt.Errorf("clt: config: signed is true, but activation %s has no negative features; only %s can", c.Activation, ActTopK)
	}
	if !slices.Contains(ReadSites(), c.Read) {
		return fmt.Errorf("clt: config: input_hook is %q, must be one of %v", c.Read, ReadSites())
	}
	return nil
}

// UnmarshalJSON reads a config and refuses keys that it does not know.
func (c *Config) UnmarshalJSON(data []byte) error {
	type plain Config
	if err := strictjson.Decode(data, (*plain)(c)); err != nil {
		return fmt.Errorf("clt: config: %w", err)
	}
	return nil
}

// strictJSON decodes one JSON object that this program has written, and refuses
// unknown keys and trailing text.
func strictJSON(data []byte, what string, dst any) error {
	if err := strictjson.Decode(data, dst); err != nil {
		return fmt.Errorf("clt: %s: %w; was it written by a newer version?", what, err)
	}
	return nil
}
