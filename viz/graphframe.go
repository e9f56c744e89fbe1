package viz

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// The interactive part: one document without network, cookies or storage, run
// in a sandboxed frame. Go lays out and names; the script shows, hides and
// highlights.

//go:embed frame/frame.html
var frameHTML string

//go:embed frame/frame.css
var frameCSS string

//go:embed frame/frame.js
var frameJS string

//go:embed frame/swap.js
var swapJS string

// panelHeight is what the frame needs beside the picture: tools above, the
// current node and three lists below.
const panelHeight = 330

const maxFrameLinks = 3000

// frameData is what the script reads; arrays are by node or by edge, numbers
// in half pixels where they are places.
type frameData struct {
	W       int        `json:"W"`
	H       int        `json:"h"`     // height of the whole frame
	Total   int        `json:"total"` // nodes of the full graph
	Goal    int        `json:"goal"`
	Pins    []int      `json:"pins"`
	Rank    []int      `json:"rank"`
	Buckets [4][4]any  `json:"buckets"`
	Kind    string     `json:"kind"` // f g e t p b l
	ID      []string   `json:"id"`
	Text    []string   `json:"text"` // in the picture
	Say     []string   `json:"say"`  // in lists
	Hover   []string   `json:"hover"`
	X       []int      `json:"x"`
	Y       []int      `json:"y"`
	R       []int      `json:"r"`
	Wide    []int      `json:"wide"`
	Row     []int      `json:"row"`
	Col     []int      `json:"col"`
	Members []int      `json:"members"`
	Infl    []decimal  `json:"infl"` // share of all influence
	Prob    []decimal  `json:"prob"`
	Pull    []decimal  `json:"pull"` // influence + probability: what an edge's share is worth
	Strong  []int      `json:"strong"`
	Guess   []int      `json:"guess"`
	Label   []labelPos `json:"label"`
	S       []int      `json:"s"`
	T       []int      `json:"t"`
	Share   []int      `json:"w"` // signed share of the target's input, in 1/10 000
}

// decimal is a number with five significant digits.
type decimal float64

func (d decimal) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%.5g", float64(d)), nil }

// labelPos is the place of a label, or 0 for none: x, y, anchor (0 start, 1
// middle, 2 end).
type labelPos struct {
	on   bool
	x, y int
	a    int
}

func (l labelPos) MarshalJSON() ([]byte, error) {
	if !l.on {
		return []byte("0"), nil
	}
	return fmt.Appendf(nil, "[%d,%d,%d]", l.x, l.y, l.a), nil
}

var kindLetters = map[attribution.Kind]byte{attribution.Feature: 'f', gathered: 'g', attribution.Error: 'e',
	attribution.Token: 't', attribution.Position: 'p', attribution.Bias: 'b', attribution.Logit: 'l'}

// frameHeight is the height of the interactive frame in pixels.
func (v *view) frameHeight() int { return int(v.H) + panelHeight }

// data collects what the script needs.
func (v *view) data() frameData {
	d := frameData{W: int(v.W), H: v.frameHeight(), Total: v.totalNodes, Goal: max(v.target, 0), Pins: []int{}, Rank: v.frameRank()}
	for k, b := range buckets {
		d.Buckets[k] = [4]any{b.upTo, b.width, b.opacity, doubled(b.dash)}
	}
	flag := map[bool]int{true: 1}
	var kinds strings.Builder
	for i := range v.nodes {
		n := &v.nodes[i]
		kinds.WriteByte(kindLetters[n.Kind])
		text := n.text
		if n.w == 0 {
			text = cut(text, 22)
		}
		infl := 0.0
		if v.allInfl > 0 {
			infl = n.infl / v.allInfl
		}
		d.ID = append(d.ID, n.ID.String())
		d.Text, d.Say, d.Hover = append(d.Text, text), append(d.Say, v.describe(i)), append(d.Hover, v.hover(i))
		d.X, d.Y, d.R, d.Wide = append(d.X, unit(n.x)), append(d.Y, unit(n.y)), append(d.R, unit(n.r)), append(d.Wide, unit(n.w))
		d.Row, d.Col, d.Members = append(d.Row, n.row), append(d.Col, n.col), append(d.Members, n.members)
		d.Infl, d.Prob, d.Pull = append(d.Infl, decimal(infl)), append(d.Prob, decimal(n.Prob)), append(d.Pull, decimal(n.infl+n.Prob))
		d.Strong = append(d.Strong, flag[n.strong])
		d.Guess = append(d.Guess, flag[!n.user && n.Label != ""])
		d.Label = append(d.Label, labelPos{n.labelled, unit(n.lx), unit(n.ly), map[string]int{"middle": 1, "end": 2}[n.lanchor]})
		if n.pinned {
			d.Pins = append(d.Pins, i)
		}
	}
	d.Kind = kinds.String()
	for _, l := range v.links {
		w := int(math.Round(l.share * 1e4))
		if w == 0 || len(d.S) == maxFrameLinks {
			continue
		}
		d.S, d.T, d.Share = append(d.S, l.s), append(d.T, l.t), append(d.Share, w)
	}
	return d
}

// frameRank orders the list: targets by probability, then nodes by influence,
// then the bias.
func (v *view) frameRank() []int {
	var goals, rest []int
	for i, d := range v.nodes {
		switch d.Kind {
		case attribution.Logit:
			goals = append(goals, i)
		case attribution.Bias:
			rest = append(rest, i)
		}
	}
	sortBy(goals, func(i int) float64 { return v.nodes[i].Prob })
	return append(append(goals, v.ranking()...), rest...)
}

var frameTemplate = template.Must(template.New("frame").Parse(frameHTML))

// frame is the document of the interactive frame.
func (v *view) frame(title string) (string, error) {
	data, err := json.Marshal(v.data())
	if err != nil {
		return "", fmt.Errorf("viz: draw graph: %w", err)
	}
	base := newPicture(v.W, v.H, variables, "")
	v.drawGrid(base)
	base.b.WriteString(`<g id="edges"></g>`)
	v.drawLegend(base)
	svg := strings.Replace(base.String(), "<svg ", `<svg class="base" `, 1)
	var b strings.Builder
	err = frameTemplate.Execute(&b, map[string]any{
		"Title": visible(title), "CSS": template.CSS(frameCSS), "Script": template.JS(compact(frameJS)), "Data": template.JS(data),
		"Base": template.HTML(svg), "W": int(v.W), "Least": int(0.6 * v.W), "ViewBox": fmt.Sprintf("0 0 %d %d", unit(v.W), unit(v.H)),
		"Max": max(6, int(math.Ceil(100*v.shownInfl-1e-9))), "Inputs": v.o.Inputs,
	})
	if err != nil {
		return "", fmt.Errorf("viz: draw graph: %w", err)
	}
	return b.String(), nil
}

// variables is a palette of CSS variables: the frame sets them by theme.
var variables = palette{
	Back: "var(--back)", Band: "var(--band)", Border: "var(--border)", Text: "var(--text)", Dim: "var(--dim)",
	Pos: "var(--pos)", Neg: "var(--neg)", NegText: "var(--negtext)", Pin: "var(--pin)", Err: "var(--err)",
}

// swap is the script that puts the frame in place of the still picture.
func swap(document, title string) (string, error) {
	doc, err := json.Marshal(document) // escapes <, >, & and line separators
	if err != nil {
		return "", err
	}
	name, err := json.Marshal(visible(title))
	if err != nil {
		return "", err
	}
	return compact(swapJS) + "(" + string(doc) + "," + string(name) + ");", nil
}

// compact drops comment lines and indentation from a script.
func compact(js string) string {
	var b strings.Builder
	for line := range strings.Lines(js) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		b.WriteString(line + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
