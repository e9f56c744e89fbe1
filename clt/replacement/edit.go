package replacement

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Edit is one change of an intervention. It gives a feature another activation:
// Value, its own times Factor, or what it has on another prompt (Take). Or, with
// Add, it is a vector that is added to the stream.
type Edit struct {
	clt.Feature      // with Add the layer alone counts
	Pos         int  // position of the prompt
	Open        bool // at this and every later position
	Scale       bool // multiply by Factor; otherwise set to Value
	Value       float64
	Factor      float64
	Add         *Direction
	Take        *Take // Resolve turns it into a Value
}

// Direction is a vector that an edit adds to an activation [pos, d_model] of its
// layer.
type Direction struct {
	Site    gpt2.Site   // hook_mlp_out, hook_resid_pre, hook_resid_mid or hook_resid_post
	Vector  []float64   // [d_model]; nil for what Decoder writes to the edit's layer
	Decoder clt.Feature // if Vector is nil
	Scale   float64     // factor of the vector
}

// Take names the place on another prompt that an activation comes from.
type Take struct {
	Pos         int
	AllLayers   bool // of every layer
	AllFeatures bool // every feature that is active here or there
}

// Ablate takes a feature out: its activation becomes 0.
func Ablate(f clt.Feature, pos int) Edit { return ScaleBy(f, pos, 0) }

// ScaleBy multiplies an activation. The paper suppresses features with -1.
func ScaleBy(f clt.Feature, pos int, factor float64) Edit {
	return Edit{Feature: f, Pos: pos, Scale: true, Factor: factor}
}

// SetTo gives a feature an activation, whether it is active or not.
func SetTo(f clt.Feature, pos int, value float64) Edit {
	return Edit{Feature: f, Pos: pos, Value: value}
}

// AddVector adds a vector [d_model] to an activation of a layer.
func AddVector(layer, pos int, site gpt2.Site, vector []float64) Edit {
	return Edit{Feature: clt.Feature{Layer: layer}, Pos: pos, Add: &Direction{Site: site, Vector: vector, Scale: 1}}
}

// AddDecoder adds to the MLP output of a layer scale times what a feature of
// activation 1 writes there.
func AddDecoder(layer, pos int, f clt.Feature, scale float64) Edit {
	return Edit{Feature: clt.Feature{Layer: layer}, Pos: pos, Add: &Direction{Site: gpt2.MLPOut, Decoder: f, Scale: scale}}
}

// SwapIn gives a feature the activation that it has at position from of another
// prompt; Resolve looks it up.
func SwapIn(f clt.Feature, pos, from int) Edit {
	return Edit{Feature: f, Pos: pos, Take: &Take{Pos: from}}
}

// SwapAll gives every feature that is active at position pos, or at position from
// of another prompt, the activation that it has there.
func SwapAll(pos, from int) Edit {
	return Edit{Pos: pos, Take: &Take{Pos: from, AllLayers: true, AllFeatures: true}}
}

// OnFrom is the edit at its position and all later ones, those of a generated
// continuation too.
func (e Edit) OnFrom() Edit {
	e.Open = true
	return e
}

// addSites are the activations that vectors may be added to, in the order of the
// forward pass; the key is how people may shorten them.
var addSites = []struct {
	word string
	site gpt2.Site
}{{"resid_pre", gpt2.ResidPre}, {"resid_mid", gpt2.ResidMid}, {"mlp_out", gpt2.MLPOut}, {"resid_post", gpt2.ResidPost}}

// siteNumber is the place of a site in addSites, -1 if vectors cannot be added there.
func siteNumber(site gpt2.Site) int {
	for i, s := range addSites {
		if s.site == site {
			return i
		}
	}
	return -1
}

// String is the edit as ParseEdit reads it.
func (e Edit) String() string {
	layer, index, pos := strconv.Itoa(e.Layer), strconv.Itoa(e.Index), strconv.Itoa(e.Pos)
	if e.Open {
		pos += ":"
	}
	switch {
	case e.Add != nil:
		return fmt.Sprintf("%s,%s%s", layer, pos, e.Add)
	case e.Take != nil:
		if e.Take.AllLayers {
			layer = everything
		}
		if e.Take.AllFeatures {
			index = everything
		}
		return fmt.Sprintf("%s,%s,%s=@%d", layer, pos, index, e.Take.Pos)
	case e.Scale:
		return fmt.Sprintf("%s,%s,%s*%g", layer, pos, index, e.Factor)
	}
	return fmt.Sprintf("%s,%s,%s=%g", layer, pos, index, e.Value)
}

// String is the part of an edit behind its position: "+3/17*2".
func (d *Direction) String() string {
	var b strings.Builder
	if d.Site != gpt2.MLPOut {
		b.WriteString("," + strings.TrimPrefix(string(d.Site), "hook_"))
	}
	if d.Vector == nil {
		fmt.Fprintf(&b, "+%d/%d", d.Decoder.Layer, d.Decoder.Index)
	} else if text, err := json.Marshal(d.Vector); err == nil {
		fmt.Fprintf(&b, "+%s", text)
	} else {
		fmt.Fprintf(&b, "+%v", d.Vector) // not finite; refused when it is used
	}
	if d.Scale != 1 {
		fmt.Fprintf(&b, "*%g", d.Scale)
	}
	return b.String()
}
