package gpt2

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// HookName names one activation of a forward pass, in the field's standard
// spelling: "hook_embed", "blocks.3.hook_resid_mid", "ln_final.hook_scale".
type HookName string

// Site is the block-relative part of a hook name: "hook_resid_mid" names the
// same point in every layer.
type Site string

// Hook points outside the blocks. Shapes are those of a batch.
const (
	HookEmbed            HookName = "hook_embed"               // [batch, pos, d_model]
	HookPosEmbed         HookName = "hook_pos_embed"           // [batch, pos, d_model]
	HookLnFinalScale     HookName = "ln_final.hook_scale"      // [batch, pos, 1]
	HookLnFinalNormalize HookName = "ln_final.hook_normalized" // [batch, pos, d_model]
	HookUnembedPre       HookName = "unembed.hook_pre"         // [batch, pos, d_model]
)

// Hook points inside a block. A hook_scale is the divisor sqrt(var + eps);
// hook_normalized is (x - mean) / scale, before gain and bias; attn.hook_in and
// mlp.hook_in are the whole LayerNorm's output, gain and bias included.
const (
	ResidPre      Site = "hook_resid_pre"        // [batch, pos, d_model]
	Ln1Scale      Site = "ln1.hook_scale"        // [batch, pos, 1]
	Ln1Normalized Site = "ln1.hook_normalized"   // [batch, pos, d_model]
	AttnIn        Site = "attn.hook_in"          // [batch, pos, d_model]
	AttnQ         Site = "attn.hook_q"           // [batch, pos, head, d_head]
	AttnK         Site = "attn.hook_k"           // [batch, pos, head, d_head]
	AttnV         Site = "attn.hook_v"           // [batch, pos, head, d_head]
	AttnScores    Site = "attn.hook_attn_scores" // [batch, head, query, key], masked entries -1e9
	AttnPattern   Site = "attn.hook_pattern"     // [batch, head, query, key]
	AttnZ         Site = "attn.hook_z"           // [batch, pos, head, d_head]
	AttnOut       Site = "hook_attn_out"         // [batch, pos, d_model]
	ResidMid      Site = "hook_resid_mid"        // [batch, pos, d_model]
	Ln2Scale      Site = "ln2.hook_scale"        // [batch, pos, 1]
	Ln2Normalized Site = "ln2.hook_normalized"   // [batch, pos, d_model]
	MLPIn         Site = "mlp.hook_in"           // [batch, pos, d_model]
	MLPPre        Site = "mlp.hook_pre"          // [batch, pos, d_mlp]
	MLPPost       Site = "mlp.hook_post"         // [batch, pos, d_mlp]
	MLPOut        Site = "hook_mlp_out"          // [batch, pos, d_model]
	ResidPost     Site = "hook_resid_post"       // [batch, pos, d_model]
)

// BlockSites lists the hook points of one block in the order of the forward pass.
var BlockSites = []Site{
	ResidPre, Ln1Scale, Ln1Normalized, AttnIn, AttnQ, AttnK, AttnV, AttnScores, AttnPattern, AttnZ,
	AttnOut, ResidMid, Ln2Scale, Ln2Normalized, MLPIn, MLPPre, MLPPost, MLPOut, ResidPost,
}

// At returns the hook name of the site in one layer.
func (s Site) At(layer int) HookName {
	return HookName(fmt.Sprintf("blocks.%d.%s", layer, s))
}

// Split returns the layer and site of a block's hook; ok is false for others.
func (n HookName) Split() (layer int, site Site, ok bool) {
	rest, found := strings.CutPrefix(string(n), "blocks.")
	if !found {
		return 0, "", false
	}
	num, name, found := strings.Cut(rest, ".")
	if !found {
		return 0, "", false
	}
	if _, err := fmt.Sscanf(num, "%d", &layer); err != nil {
		return 0, "", false
	}
	return layer, Site(name), true
}

// HookNames lists every hook of a model with that many layers, in the order in
// which the forward pass calls them.
func HookNames(layers int) []HookName {
	names := []HookName{HookEmbed, HookPosEmbed}
	for l := range layers {
		for _, s := range BlockSites {
			names = append(names, s.At(l))
		}
	}
	return append(names, HookLnFinalScale, HookLnFinalNormalize, HookUnembedPre)
}

// Hook is called by Forward at every named point; the forward pass goes on with
// the node that it returns. Recording, replacing, freezing and intervening are
// all hooks.
type Hook func(name HookName, x *graph.Node) *graph.Node

// Chain applies hooks in order; nil hooks are skipped.
func Chain(hooks ...Hook) Hook {
	return func(name HookName, x *graph.Node) *graph.Node {
		for _, h := range hooks {
			if h != nil {
				x = h(name, x)
			}
		}
		return x
	}
}

// Record stores every activation in dst and changes nothing.
func Record(dst map[HookName]*graph.Node) Hook {
	return func(name HookName, x *graph.Node) *graph.Node {
		dst[name] = x
		return x
	}
}

// StopGradientAt stops gradients at the given sites in all layers; "hook_scale"
// of the final LayerNorm is included when Ln1Scale or Ln2Scale is.
func StopGradientAt(sites ...Site) Hook {
	stop := map[Site]bool{}
	for _, s := range sites {
		stop[s] = true
	}
	return func(name HookName, x *graph.Node) *graph.Node {
		if _, s, ok := name.Split(); ok && stop[s] {
			return graph.StopGradient(x)
		}
		if name == HookLnFinalScale && (stop[Ln1Scale] || stop[Ln2Scale]) {
			return graph.StopGradient(x)
		}
		return x
	}
}
