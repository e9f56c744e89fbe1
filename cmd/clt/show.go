package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// drawing says where pictures go and how they look.
type drawing struct {
	svg, png, html, theme, title string
	features                     string // folder of a feature store
	width                        int
	cut                          *cutFlags
}

func drawFlags(f *flag.FlagSet) *drawing {
	d := &drawing{cut: pruneFlags(f)}
	f.StringVar(&d.svg, "svg", "", "picture `file`")
	f.StringVar(&d.png, "png", "", "picture `file`; needs a Chromium on this machine")
	f.StringVar(&d.html, "html", "", "page `file` that needs nothing else")
	f.StringVar(&d.theme, "theme", "light", "`theme` of pictures: light or dark")
	f.StringVar(&d.title, "title", "", "`title` (default: the prompt)")
	f.StringVar(&d.features, "features", "", "`folder` of a feature store (clt features build): labels, and cards in the page")
	f.IntVar(&d.width, "width", 0, "width of pictures in pixels (default: what suits)")
	return d
}

// showVerb tells a graph in words, and draws it if asked.
func showVerb(f *flag.FlagSet) func(c *call) error {
	d := drawFlags(f)
	return func(c *call) error {
		g, err := d.draw(c)
		if err != nil {
			return err
		}
		c.printf("%s", graphText(g, d.cut.cfg))
		return nil
	}
}

// exportVerb draws.
func exportVerb(f *flag.FlagSet) func(c *call) error {
	d := drawFlags(f)
	return func(c *call) error {
		if d.svg == "" && d.png == "" && d.html == "" {
			return badCall("nothing to write; give -svg FILE, -png FILE or -html FILE")
		}
		_, err := d.draw(c)
		return err
	}
}

// draw reads the graph and writes what the flags ask for.
func (d *drawing) draw(c *call) (*attribution.Graph, error) {
	if d.theme != "light" && d.theme != "dark" {
		return nil, badCall("-theme %s is not known; use light or dark", d.theme)
	}
	if d.width < 0 {
		return nil, badCall("-width %d; give 0 or more pixels", d.width)
	}
	if err := d.cut.cfg.Validate(); err != nil {
		return nil, usageError{err}
	}
	for _, path := range []string{d.svg, d.png, d.html} {
		if err := output(path); err != nil {
			return nil, err
		}
	}
	g, err := c.oneGraph()
	if err != nil {
		return nil, err
	}
	small, opts, err := d.view(g)
	if err != nil {
		return nil, err
	}
	if opts.Features, err = c.knownFeatures(d.features, small); err != nil {
		return nil, err
	}
	if d.svg != "" || d.png != "" {
		svg, err := viz.GraphSVG(small, opts)
		if err != nil {
			return nil, err
		}
		if d.svg != "" {
			if err := c.write(d.svg, []byte(svg)); err != nil {
				return nil, err
			}
		}
		if d.png != "" {
			if err := c.writePNG(d.png, svg, d.svg != ""); err != nil {
				return nil, err
			}
		}
	}
	if d.html != "" {
		page, err := graphPage(c, c.args[0], small, opts)
		if err != nil {
			return nil, err
		}
		if err := c.write(d.html, page); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// view prunes a whole graph for the picture; one that was pruned is drawn as it is.
func (d *drawing) view(g *attribution.Graph) (*attribution.Graph, viz.GraphOptions, error) {
	opts := viz.GraphOptions{Title: d.title, Theme: d.theme, Width: float64(d.width)}
	if g.Cut() {
		return g, opts, nil
	}
	small, err := g.Prune(d.cut.cfg)
	if err != nil {
		return nil, opts, err
	}
	opts.Full = g
	return small, opts, nil
}

// writePNG has a Chromium draw the picture at twice its size. Without one the
// picture is written as SVG.
func (c *call) writePNG(path, svg string, written bool) error {
	browser := engine.FindChromium()
	if browser == "" {
		instead := ""
		if !written {
			other := strings.TrimSuffix(path, filepath.Ext(path)) + ".svg"
			if err := c.write(other, []byte(svg)); err != nil {
				return err
			}
			instead = "; the picture is in " + filepath.Base(other)
		}
		return fmt.Errorf("no Chromium found for %s%s; install one (apt-get install chromium) or set CLT_CHROMIUM", filepath.Base(path), instead)
	}
	data, err := screenshot(c.ctx, browser, svg)
	if err != nil {
		return err
	}
	return c.write(path, data)
}

// A browser leaves part of a window lower than leastWindow blank. Pictures have
// screenScale pixels for each of the SVG's.
const (
	leastWindow = 400
	screenScale = 2
)

// screenshot draws an SVG in a headless browser.
func screenshot(ctx context.Context, browser, svg string) ([]byte, error) {
	var w, h float64
	if err := svgSize(svg, &w, &h); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "clt-png-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	page, shot := filepath.Join(dir, "page.html"), filepath.Join(dir, "shot.png")
	html := `<!doctype html><meta charset="utf-8"><style>html,body{margin:0}svg{display:block}</style>` + svg
	if err := atomicfile.Write(page, []byte(html)); err != nil {
		return nil, err
	}
	if err := runBrowser(ctx, browser, dir, fmt.Sprintf("--force-device-scale-factor=%d", screenScale), fmt.Sprintf("--window-size=%d,%d", max(leastWindow, int(w+0.99)), max(leastWindow, int(h+0.99))),
		"--screenshot="+shot, "file://"+page); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(shot)
	if err != nil {
		return nil, fmt.Errorf("%s drew nothing; try another Chromium with CLT_CHROMIUM", filepath.Base(browser))
	}
	return cropped(data, screenScale*int(w+0.99), screenScale*int(h+0.99))
}

// cropped is the upper left part of a PNG.
func cropped(data []byte, w, h int) ([]byte, error) {
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the browser's picture cannot be read: %w; try another Chromium with CLT_CHROMIUM", err)
	}
	part, ok := m.(interface {
		SubImage(image.Rectangle) image.Image
	})
	if size := m.Bounds(); !ok || size.Dx() == w && size.Dy() == h {
		return data, nil
	}
	var out bytes.Buffer
	err = png.Encode(&out, part.SubImage(image.Rect(0, 0, w, h)))
	return out.Bytes(), err
}
