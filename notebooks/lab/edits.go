package lab

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// An edit is written "L,P,F=VALUE" or "L,P,F*FACTOR" for feature F of layer L at
// position P, which may be "a:" for position a and all later ones; "L,P,F=@Q" takes
// the activation from position Q of another prompt, and L and F may be "all";
// "L,P+D/F*SCALE" adds a feature's decoder vector to the MLP output of layer L, and
// "L,P+[X,Y,...]" any vector. The functions of this file write them for groups of
// nodes; what is no feature is left out.

// Scale makes edits that multiply the features of a group, for Session.Intervene:
// factor 0 takes them out, -1 turns them round (the paper's suppression).
func Scale(group []attribution.ID, factor float64) []string {
	return edits(group, func(id attribution.ID) string {
		return fmt.Sprintf("%d,%d,%d*%g", id.Layer, id.Pos, id.Index, factor)
	})
}

// Ablate takes the features of a group out.
func Ablate(group []attribution.ID) []string { return Scale(group, 0) }

// SetTo gives the features of a group an activation.
func SetTo(group []attribution.ID, value float64) []string {
	return edits(group, func(id attribution.ID) string {
		return fmt.Sprintf("%d,%d,%d=%g", id.Layer, id.Pos, id.Index, value)
	})
}

// TakeFrom gives the features of a group what they have at a position of another
// prompt, for Session.Swap.
func TakeFrom(group []attribution.ID, pos int) []string {
	return edits(group, func(id attribution.ID) string {
		return fmt.Sprintf("%d,%d,%d=@%d", id.Layer, id.Pos, id.Index, pos)
	})
}

// AddTo adds scale times a feature's decoder vector to the MLP output of a layer at
// a position.
func AddTo(layer, pos int, feature attribution.ID, scale float64) []string {
	return []string{fmt.Sprintf("%d,%d+%d/%d*%g", layer, pos, feature.Layer, feature.Index, scale)}
}

// AddVector adds a vector [d_model] to an activation of a layer at a position: site is
// "resid_pre", "resid_mid", "resid_post", or "" for the MLP output.
func AddVector(layer, pos int, site string, vector []float64) []string {
	numbers := make([]string, len(vector))
	for i, x := range vector {
		numbers[i] = strconv.FormatFloat(x, 'g', -1, 64)
	}
	if site != "" {
		site = "," + site
	}
	return []string{fmt.Sprintf("%d,%d%s+[%s]", layer, pos, site, strings.Join(numbers, ","))}
}

func edits(group []attribution.ID, text func(attribution.ID) string) []string {
	var list []string
	for _, id := range group {
		if id.Kind == attribution.Feature {
			list = append(list, text(id))
		}
	}
	return list
}
