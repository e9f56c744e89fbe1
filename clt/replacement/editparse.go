package replacement

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// everything stands for all layers or all features in the text of a swap.
const everything = "all"

// EditSyntax says how edits are written.
const EditSyntax = `L,P,F=VALUE or L,P,F*FACTOR for feature F of layer L at position P; L,P,F=@Q for what it has at position Q of another prompt, L and F may be "all"; L,P+D/F*SCALE to add a feature's decoder vector to the MLP output, L,P+[X,Y,...] any vector, L,P,SITE+... elsewhere (resid_pre, resid_mid, resid_post); P may be "a:" for position a and all later ones`

// ParseEdit reads one edit, as EditSyntax has it. It knows no model: what the
// edit names is checked when it is used.
func ParseEdit(s string) (Edit, error) {
	e, ok := parseEdit(s)
	if ok {
		return e, nil
	}
	if i := strings.LastIndexAny(s, "=*"); i >= 0 {
		if v, err := strconv.ParseFloat(strings.TrimSpace(s[i+1:]), 64); notFinite(v) && (err == nil || errors.Is(err, strconv.ErrRange)) {
			return Edit{}, refused("edit %q has a value that is not finite; give a number", s)
		}
	}
	return Edit{}, refused("edit %q cannot be read; write %s", s, EditSyntax)
}

func parseEdit(s string) (e Edit, ok bool) {
	i := strings.IndexAny(s, "=*+")
	if i < 0 {
		return e, false
	}
	parts, value := strings.Split(s[:i], ","), s[i+1:]
	for k := range parts {
		parts[k] = strings.TrimSpace(parts[k])
	}
	if len(parts) < 2 {
		return e, false
	}
	pos, open := strings.CutSuffix(parts[1], ":")
	if e.Open = open; !natural(pos, &e.Pos) {
		return e, false
	}
	switch from, swap := strings.CutPrefix(value, "@"); {
	case s[i] == '+':
		return e, e.parseAdd(parts, value)
	case len(parts) != 3:
		return e, false
	case s[i] == '=' && swap:
		e.Take = &Take{AllLayers: parts[0] == everything, AllFeatures: parts[2] == everything}
		return e, natural(from, &e.Take.Pos) && (e.Take.AllLayers || natural(parts[0], &e.Layer)) &&
			(e.Take.AllFeatures || natural(parts[2], &e.Index)) && (e.Take.AllFeatures || !e.Take.AllLayers)
	}
	v, ok := finite(value)
	if e.Scale = s[i] == '*'; e.Scale {
		e.Factor = v
	} else {
		e.Value = v
	}
	return e, ok && natural(parts[0], &e.Layer) && natural(parts[2], &e.Index)
}

// parseAdd reads a vector: D/F or [x,y,...], and a factor.
func (e *Edit) parseAdd(parts []string, value string) bool {
	e.Add = &Direction{Site: gpt2.MLPOut, Scale: 1}
	if len(parts) > 3 || !natural(parts[0], &e.Layer) {
		return false
	}
	if len(parts) == 3 {
		e.Add.Site = ""
		for _, s := range addSites {
			if parts[2] == s.word || parts[2] == string(s.site) {
				e.Add.Site = s.site
			}
		}
		if e.Add.Site == "" {
			return false
		}
	}
	what, factor, scaled := strings.Cut(value, "*")
	if scaled {
		var ok bool
		if e.Add.Scale, ok = finite(factor); !ok {
			return false
		}
	}
	if what = strings.TrimSpace(what); strings.HasPrefix(what, "[") {
		return json.Unmarshal([]byte(what), &e.Add.Vector) == nil && len(e.Add.Vector) > 0
	}
	layer, index, ok := strings.Cut(what, "/")
	return ok && natural(layer, &e.Add.Decoder.Layer) && natural(index, &e.Add.Decoder.Index)
}

// natural reads a number that is not negative.
func natural(s string, dst *int) bool {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	*dst = n
	return err == nil && n >= 0
}

func finite(s string) (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}
