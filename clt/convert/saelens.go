package convert

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/vec"
)

// saeConfig is the part of SAELens's cfg.json that decides what the tensors mean;
// newer versions keep the hooks in metadata.
type saeConfig struct {
	Architecture string         `json:"architecture"`
	Activation   string         `json:"activation_fn"`
	ActivationV3 string         `json:"activation_fn_str"`
	Args         map[string]any `json:"activation_fn_kwargs"`
	K            int            `json:"k"`
	Normalize    string         `json:"normalize_activations"`
	DIn          int            `json:"d_in"`
	DSAE         int            `json:"d_sae"`
	DOut         int            `json:"d_out"`
	saeHooks
	Metadata saeHooks `json:"metadata"`
}

type saeHooks struct {
	Model    string `json:"model_name"`
	Hook     string `json:"hook_name"`
	HookOld  string `json:"hook_point"`
	Out      string `json:"hook_name_out"`
	OutOld   string `json:"out_hook_point"`
	Centring *bool  `json:"apply_b_dec_to_input"`
}

// first is the first text that is not empty.
func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// saeLayer is the folder of one layer.
type saeLayer struct {
	dir string
	cfg saeConfig
	in  gpt2.Site
}

var blockHook = regexp.MustCompile(`^blocks\.(\d{1,4})\.(.+)$`)

// saelens reads a set of SAELens transcoders, one for each layer.
func (r *reader) saelens() error {
	layers, err := r.saeLayers()
	if err != nil {
		return err
	}
	total := r.opt.Layers
	for l := range layers {
		total = max(total, l+1)
	}
	t := r.t
	t.Config = clt.Config{Layers: total, PerLayer: true}
	var missing []string
	for l := range total {
		if layers[l] == nil {
			missing = append(missing, strconv.Itoa(l))
		}
	}
	if len(missing) > 0 && r.opt.Layers == 0 {
		return fmt.Errorf("there is no transcoder for layer %s; fetch it, or give the number of the model's layers with -layers to leave their MLPs to the error nodes", strings.Join(missing, ", "))
	}
	if len(missing) > 0 {
		r.remark("no transcoder for layer %s: their features are none and their MLP outputs all error", strings.Join(missing, ", "))
	}
	for l := range total {
		if layers[l] != nil && t.Features == 0 {
			if err := r.saeConfigure(layers[l]); err != nil {
				return err
			}
		}
	}
	for l := range total {
		if layers[l] == nil {
			r.emptyLayer()
			continue
		}
		if err := r.saeLayer(layers[l], l); err != nil {
			return err
		}
	}
	return nil
}

// saeLayers finds the folders and their layers.
func (r *reader) saeLayers() (map[int]*saeLayer, error) {
	found, _, err := look(r)
	if err != nil {
		return nil, err
	}
	layers := map[int]*saeLayer{}
	for _, e := range found {
		if e.layout != SAELens {
			continue
		}
		x := &saeLayer{dir: path.Dir(e.file)}
		if err := readJSON(r, path.Join(x.dir, "cfg.json"), &x.cfg); err != nil {
			return nil, err
		}
		l, err := x.hooks()
		if err != nil {
			return nil, fmt.Errorf("%s/cfg.json: %w", x.dir, err)
		}
		if layers[l] != nil {
			return nil, fmt.Errorf("%s and %s are both of layer %d; name the folder of one set", layers[l].dir, x.dir, l)
		}
		layers[l] = x
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("no folder has sae_weights.safetensors")
	}
	return layers, nil
}

// hooks finds the layer and what it reads, and checks what it writes.
func (x *saeLayer) hooks() (layer int, err error) {
	c := x.cfg
	in := first(c.Hook, c.HookOld, c.Metadata.Hook, c.Metadata.HookOld)
	out := first(c.Out, c.OutOld, c.Metadata.Out, c.Metadata.OutOld)
	m := blockHook.FindStringSubmatch(in)
	if m == nil {
		return 0, fmt.Errorf("hook_name is %q, should be like blocks.3.ln2.hook_normalized", in)
	}
	layer, _ = strconv.Atoi(m[1])
	switch m[2] {
	case "hook_resid_mid":
		x.in = gpt2.ResidMid
	case "ln2.hook_normalized":
		x.in = gpt2.Ln2Normalized
	case "mlp.hook_in":
		x.in = gpt2.MLPIn
	case "hook_mlp_in":
		// the residual stream in one library, the MLP's input in another: Options.Read decides
	default:
		return 0, fmt.Errorf("hook_name is %q; a transcoder of an MLP reads hook_resid_mid, ln2.hook_normalized or mlp.hook_in", in)
	}
	switch out {
	case fmt.Sprintf("blocks.%d.hook_mlp_out", layer), fmt.Sprintf("blocks.%d.mlp.hook_out", layer):
		return layer, nil
	case "":
		return 0, fmt.Errorf("there is no hook_name_out: this is a sparse autoencoder, not a transcoder")
	}
	return 0, fmt.Errorf("hook_name_out is %q, should be the MLP output of layer %d", out, layer)
}

// saeConfigure takes the configuration from the first folder.
func (r *reader) saeConfigure(x *saeLayer) error {
	b, err := r.open(path.Join(x.dir, "sae_weights.safetensors"))
	if err != nil {
		return err
	}
	defer b.Close()
	s, err := b.shape("W_enc", 2)
	if err != nil {
		return err
	}
	t, c := r.t, x.cfg
	t.DModel, t.Features, t.Skip = s[0], s[1], b.has("W_skip")
	if t.Read = r.opt.Read; t.Read == "" {
		t.Read = x.in
	}
	if t.Read == "" {
		return fmt.Errorf("%s: hook_mlp_in is the residual stream in one library and the MLP's input in another; say which with -read (%v)", x.dir, clt.ReadSites())
	}
	t.Model = first(c.Model, c.Metadata.Model)
	return r.saeActivation(c, b.has("threshold"))
}

func (r *reader) saeActivation(c saeConfig, threshold bool) error {
	t := r.t
	act := first(c.Activation, c.ActivationV3)
	switch {
	case r.opt.Activation != "":
		t.Activation = clt.ActReLU
	case threshold:
		t.Activation = clt.ActJumpReLU
	case act == "topk" || strings.Contains(c.Architecture, "topk"):
		t.Activation, t.K = clt.ActTopK, c.K
		if k, ok := c.Args["k"].(float64); ok {
			t.K = int(k)
		}
	case act == "" || act == "relu":
		t.Activation = clt.ActReLU
	default:
		return fmt.Errorf("cfg.json: activation_fn is %q, can be relu or topk; choose one with -activation", act)
	}
	switch c.Normalize {
	case "", "none":
		return nil
	case "expected_average_only_in":
		r.remark("normalize_activations is %s: its scale must be folded into the weights already; mind the reconstruction", c.Normalize)
		return nil
	}
	return fmt.Errorf("cfg.json: normalize_activations is %q, which depends on the input; only none can be read", c.Normalize)
}

// emptyLayer is a layer without features.
func (r *reader) emptyLayer() {
	t := r.t
	n, d := t.Features, t.DModel
	t.WEnc, t.BEnc = append(t.WEnc, make([]float32, n*d)), append(t.BEnc, make([]float32, n))
	t.WDec, t.BDec = append(t.WDec, make([]float32, n*d)), append(t.BDec, make([]float32, d))
	if t.HasThreshold() {
		t.Threshold = append(t.Threshold, make([]float32, n))
	}
	if t.Skip {
		t.WSkip = append(t.WSkip, make([]float32, d*d))
	}
}

func (r *reader) saeLayer(x *saeLayer, l int) (err error) {
	t := r.t
	n, d := t.Features, t.DModel
	if r.opt.Read == "" && x.in != t.Read {
		return fmt.Errorf("%s reads %s, other layers %s; name the folder of one set", x.dir, x.in, t.Read)
	}
	b, err := r.open(path.Join(x.dir, "sae_weights.safetensors"))
	if err != nil {
		return err
	}
	defer b.Close()
	get := func(name string, shape ...int) []float32 {
		v, e := b.get(name, shape...)
		if err == nil {
			err = e
		}
		return v
	}
	enc, bias := get("W_enc", d, n), get("b_enc", n)
	dec, out := get("W_dec", n, d), get("b_dec", d)
	if err != nil {
		return err
	}
	enc = vec.Transposed(enc, d, n)
	if b.has("b_dec_out") { // then b_dec centres the input
		for f := range n {
			bias[f] = float32(float64(bias[f]) - dotWide(enc[f*d:][:d], wide(out)))
		}
		if out = get("b_dec_out", d); err != nil {
			return err
		}
	}
	t.WEnc, t.BEnc, t.WDec, t.BDec = append(t.WEnc, enc), append(t.BEnc, bias), append(t.WDec, dec), append(t.BDec, out)
	if t.HasThreshold() {
		t.Threshold = append(t.Threshold, get("threshold", n))
	}
	if t.Skip {
		if skip := get("W_skip", d, d); err == nil {
			t.WSkip = append(t.WSkip, vec.Transposed(skip, d, d))
		}
	}
	if err != nil {
		return err
	}
	return b.done()
}

// layersOf checks that a set of folders covers layers 0 to n-1.
func layersOf[V any](m map[int]V) (n int, err error) {
	for l := range m {
		n = max(n, l+1)
	}
	for l := range n {
		if _, ok := m[l]; !ok {
			return 0, fmt.Errorf("there is no folder of layer %d, but one of layer %d; is the copy whole?", l, n-1)
		}
	}
	return n, nil
}
