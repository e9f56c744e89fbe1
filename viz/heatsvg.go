package viz

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"strings"
)

// HeatSVG is Heat as a file of its own.
func HeatSVG(title string, m [][]float64, xs, ys []string, o HeatOptions) (string, error) {
	h := newHeatMap(m, xs, ys, o)
	if len(m) == 0 || h.cols == 0 {
		return newPicture(240, 40, lightTheme, title+": no values").String(), nil
	}
	w, ht := h.size()
	var pictures strings.Builder
	for _, x := range []struct {
		m          image.Image
		left, wide float64
	}{{h.mapOnly(), h.left, w}, {h.bar(), h.left + w + 10, 12}} {
		var b bytes.Buffer
		if err := png.Encode(&b, x.m); err != nil {
			return "", fmt.Errorf("viz: %s: %w", title, err)
		}
		fmt.Fprintf(&pictures, `<image x="%d" y="%d" width="%d" height="%d" preserveAspectRatio="none" style="image-rendering:pixelated" href="%s"/>`,
			unit(x.left), unit(h.top), unit(x.wide), unit(ht), dataURI("image/png", b.Bytes()))
	}
	return strings.Replace(h.axes(title), "</svg>", pictures.String()+"</svg>", 1), nil
}
