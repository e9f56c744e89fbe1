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

//go:embed frame/zframe.js
var frameJS string // frame.js, tools.js and keys.js, made short by scripts/frame.sh

//go:embed frame/swap.js
var swapSource string

var swapJS = hosted(swapSource)

// Edges in the frame: few in a notebook, all in a page.
const (
	maxFrameLinks = 3000
	maxPageLinks  = 50_000
)

// frameData is what the script reads: arrays by edge; by node in Nodes. Places
// are in half pixels. The script relies on the order of the fields, here and in
// frameNodes and whatIf.
type frameData struct {
	W       int          `json:"W"`
	H       int          `json:"H"`
	Total   int          `json:"total"` // nodes of the full graph
	Goal    int          `json:"goal"`
	Most    decimal      `json:"most"` // largest activation
	Pins    map[int]int  `json:"pins"` // 1 for each
	Rank    []int        `json:"rank"`
	Buckets [4]float64   `json:"buckets"` // cumulative score; their looks are in bucketCSS
	Groups  []frameGroup `json:"groups"`
	Hints   []frameGroup `json:"hints"` // suggested
	What    whatIf       `json:"what"`
	Notes   []string     `json:"notes"`
	Kind    string       `json:"kind"` // f g e t p b l
	Nodes   frameNodes   `json:"nodes"`
	S       []int        `json:"s"`
	T       []int        `json:"t"`
	Share   []int        `json:"w"` // signed share of the target's input, in 1/10 000
}

type frameGroup struct {
	Label string `json:"label"`
	Nodes []int  `json:"nodes"`
	Guess int    `json:"guess"`
}

// frameNodes are arrays by node.
type frameNodes struct {
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
	Act     []decimal  `json:"act"`
	Look    []string   `json:"look"` // more classes: " strong", " both" (also in the other graph)
	Guess   []int      `json:"guess"`
	Card    []int      `json:"card"` // number of the feature card, -1 for none
	Label   []labelPos `json:"label"`
}

// frameNotes are the sentences of the script; # is a number.
var frameNotes = []string{
	"Pin two or more features first: P, Shift-click, or draw a box around them.",
	"No groups to suggest: no two features of one token have alike edges.",
	"Groups with ? are guesses from alike edges. Rename those you believe, ungroup the others.",
	"Pin features to see how much they explain.",
	"Linear prediction, active features and attention fixed. Change of the logits:",
	"# features would fall silent, so the linear prediction does not hold this far. Change of the logits:",
	"// pin, name or group something first",
	"Copied: paste it into a cell.",
	"Copy the marked text.",
	"Pinned features: # · replacement # · completeness #, all else counted as error",
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

// data collects what the script needs, and the feature cards.
func (v *view) data() (frameData, []template.HTML) {
	d := frameData{W: int(v.W), H: int(v.H), Total: v.totalNodes, Goal: max(v.target, 0), Pins: map[int]int{}, Rank: v.frameRank(), Notes: frameNotes}
	for k, b := range buckets {
		d.Buckets[k] = b.upTo
	}
	var cards []template.HTML
	d.Nodes.Card, cards = v.cards()
	flag := map[bool]int{true: 1}
	var kinds strings.Builder
	n := &d.Nodes
	for i := range v.nodes {
		x := &v.nodes[i]
		kinds.WriteByte(kindLetters[x.Kind])
		text := x.text
		if x.w == 0 {
			text = cut(text, 22)
		}
		infl := 0.0
		if v.allInfl > 0 {
			infl = x.infl / v.allInfl
		}
		n.ID = append(n.ID, x.ID.String())
		n.Text, n.Say, n.Hover = append(n.Text, text), append(n.Say, v.describe(i)), append(n.Hover, v.hover(i))
		n.X, n.Y, n.R, n.Wide = append(n.X, unit(x.x)), append(n.Y, unit(x.y)), append(n.R, unit(x.r)), append(n.Wide, unit(x.w))
		n.Row, n.Col, n.Members = append(n.Row, x.row), append(n.Col, x.col), append(n.Members, x.members)
		n.Infl, n.Prob, n.Pull, n.Act = append(n.Infl, decimal(infl)), append(n.Prob, decimal(x.Prob)), append(n.Pull, decimal(x.infl+x.Prob)), append(n.Act, decimal(x.Activation))
		look := ""
		if x.strong {
			look = " strong"
		}
		if x.both {
			look += " both"
		}
		n.Look = append(n.Look, look)
		n.Guess = append(n.Guess, flag[!x.user && x.Label != ""])
		n.Label = append(n.Label, labelPos{x.labelled, unit(x.lx), unit(x.ly), map[string]int{"middle": 1, "end": 2}[x.lanchor]})
		d.Most = max(d.Most, decimal(x.Activation))
		if x.pinned {
			d.Pins[i] = 1
		}
	}
	d.Kind = kinds.String()
	limit := v.maxLinks()
	for _, l := range v.links {
		w := int(math.Round(l.share * 1e4))
		if w == 0 || len(d.S) == limit {
			continue
		}
		d.S, d.T, d.Share = append(d.S, l.s), append(d.T, l.t), append(d.Share, w)
	}
	var taken map[int]bool
	d.Groups, taken = v.given()
	d.Hints = v.hints(taken)
	d.What = v.whatIf()
	return d, cards
}

// maxLinks is how many edges the frame holds.
func (v *view) maxLinks() int {
	if v.o.MaxNodes > defaultNodes {
		return maxPageLinks
	}
	return maxFrameLinks
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
	frame, cards := v.data()
	data, err := json.Marshal(frame)
	if err != nil {
		return "", fmt.Errorf("viz: draw graph: %w", err)
	}
	base := newPicture(v.W, v.H, variables, "")
	v.drawGrid(base)
	base.b.WriteString(`<g id="edges"></g>`)
	rows, legend := &picture{p: variables}, &picture{p: variables}
	v.drawRows(rows)
	end := v.drawLegend(legend)
	svg := strings.Replace(base.String(), "<svg ", `<svg id="base" class="base" `, 1)
	plot := unit(v.H - legendRow)
	var b strings.Builder
	err = frameTemplate.Execute(&b, map[string]any{
		"Title": visible(title), "CSS": template.CSS(frameCSS + bucketCSS()), "Script": template.JS(compact(frameJS)), "Data": template.JS(data),
		"Left": unit(marginLeft) - 6, "Plot": plot, "Base": template.HTML(svg), "W": int(v.W), "Least": int(leastScale * v.W), "Rows": template.HTML(rows.b.String()), "Legend": template.HTML(legend.b.String()),
		"Side": css(100 * marginLeft / v.W), "Low": css(100 * end / v.W), "RowsBox": fmt.Sprintf("0 0 %d %d", unit(marginLeft), plot), "LegendBox": fmt.Sprintf("0 %d %d %d", plot, unit(end), unit(v.H)-plot),
		"ViewBox": fmt.Sprintf("0 0 %d %d", unit(v.W), unit(v.H)),
		"Cards":   cards,
		"Max":     max(6, int(math.Ceil(100*v.shownInfl-1e-9))), "Inputs": v.o.Inputs,
	})
	if err != nil {
		return "", fmt.Errorf("viz: draw graph: %w", err)
	}
	return b.String(), nil
}

// bucketCSS styles the edges of the overview by their bucket; the script sets how
// faint the last one is.
func bucketCSS() string {
	var b strings.Builder
	for k, x := range buckets {
		opacity := css(x.opacity)
		if k == len(buckets)-1 {
			opacity = "var(--faint)"
		}
		fmt.Fprintf(&b, ".b%d{stroke-width:%s;opacity:%s}.b%d.neg{stroke-dasharray:%s}\n", k, css(2*x.width), opacity, k, doubled(x.dash))
	}
	return b.String()
}

// variables is a palette of CSS variables: the frame sets them by theme.
var variables = palette{
	Back: "var(--back)", Band: "var(--band)", Border: "var(--border)", Text: "var(--text)", Dim: "var(--dim)",
	Both: "var(--both)", Pos: "var(--pos)", Neg: "var(--neg)", NegText: "var(--negtext)", Pin: "var(--pin)", Err: "var(--err)",
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
