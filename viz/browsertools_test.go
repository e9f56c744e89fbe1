package viz

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	at "github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// TestFrameScript: the embedded script is made from the sources beside it, and
// small.
func TestFrameScript(t *testing.T) {
	h := sha256.New()
	for _, f := range []string{"frame.js", "tools.js", "keys.js"} {
		b, err := os.ReadFile("frame/" + f)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(b)
	}
	if want := fmt.Sprintf("// %x ", h.Sum(nil)); !strings.HasPrefix(frameJS, want) {
		t.Errorf("frame/zframe.js is not made from its sources; run scripts/frame.sh")
	}
	if n := len(compact(frameJS)); n > 12<<10 {
		t.Errorf("the script of the frame has %d bytes, limit %d", n, 12<<10)
	}
}

const frameHelp = `
var $=function(i){return document.getElementById(i)},key=function(k,to){($(to||'list')).dispatchEvent(new KeyboardEvent('keydown',{key:k,bubbles:true}))};
var D=JSON.parse($('data').textContent),ids=D.nodes.id;
var goTo=function(id){$('q').value=id;$('q').dispatchEvent(new Event('input',{bubbles:true}));key('Enter','q');key('Escape')};
var press=function(id){$(id).click()};
`

// shownGraph is the planted graph with everything drawn, so that the frame and
// package attribution see the same.
func shownGraph(t *testing.T) (*at.Graph, *view) {
	t.Helper()
	full := planted(1, 6, 1)
	v := viewOf(t, full, GraphOptions{All: true, Inputs: true, MaxNodes: 5000})
	return full, v
}

// TestBrowserGroups: groups made by hand have the edges of attribution.Grouped,
// can be named, copied as Go, and undone.
func TestBrowserGroups(t *testing.T) {
	full, v := shownGraph(t)
	doc, err := v.frame("t")
	if err != nil {
		t.Fatal(err)
	}
	var members []at.ID
	for _, i := range v.ranking() {
		if d := v.nodes[i]; d.Kind == at.Feature && len(members) < 3 {
			members = append(members, d.ID)
		}
	}
	grouped, err := full.Grouped([]at.Group{{Label: "three", Nodes: members}})
	if err != nil {
		t.Fatal(err)
	}
	var inputs []float64
	for s := range grouped.Groups {
		if grouped.Groups[s].Nodes[0].Kind != at.Bias {
			inputs = append(inputs, math.Abs(grouped.Weights.At(0, s)))
		}
	}
	slices.Sort(inputs)
	into := 0.0
	for _, x := range inputs[max(0, len(inputs)-40):] { // as many as the list shows
		into += x
	}
	out := 0.0
	for g := range grouped.Groups {
		if grouped.Groups[g].Nodes[0] == v.nodes[v.target].ID {
			out = grouped.Weights.At(g, 0)
		}
	}
	var r struct {
		Error, Code, Found, After string
		Into, Out                 float64
		Before, Grouped, Closed   int
	}
	ids, _ := json.Marshal([]string{members[0].String(), members[1].String(), members[2].String()})
	run(t, doc, frameHelp+`
r.Before=$('list').children.length;
`+string(ids)+`.forEach(function(id){goTo(id);key('p')});
key('g');
$('name').value='three of it';$('name').dispatchEvent(new Event('change'));
r.Grouped=$('list').children.length;
goTo(ids[D.goal]);r.Closed=$('list').children.length;
$('q').value='three of it';$('q').dispatchEvent(new Event('input',{bubbles:true}));r.Found=$('found').textContent;key('Enter','q');key('Escape');
r.Into=[...$('ins').children].reduce(function(s,li){return s+Math.abs(parseFloat(li.firstChild.textContent.replace('−','-').replace('<','')))/100},0);
[...$('outs').children].forEach(function(li){if(li.lastChild.textContent===D.nodes.say[D.goal])r.Out=parseFloat(li.firstChild.textContent.replace('−','-'))/100});
press('go');r.Code=$('code').value;
key('u');r.After=String($('list').children.length);
`, &r)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if r.Grouped != r.Before+1 || r.Closed != r.Before-2 || r.After != fmt.Sprint(r.Before) || r.Found != "1 found" {
		t.Errorf("%d nodes, %d when three are joined and their group is open, %d when it is closed (%s), %s when undone", r.Before, r.Grouped, r.Closed, r.Found, r.After)
	}
	if math.Abs(r.Into-into) > 0.02 || math.Abs(r.Out-out) > 0.01 {
		t.Errorf("the group gets %.3f and gives the target %.3f; Grouped says %.3f and %.3f", r.Into, r.Out, into, out)
	}
	want := fmt.Sprintf("g = g.Group(%q, %q, %q, %q)", "three of it", members[0].String(), members[1].String(), members[2].String())
	if r.Code != want {
		t.Errorf("the Go code is %s, want %s", r.Code, want)
	}
}

// TestBrowserScores: the scores of the pinned part are those of the graph in
// which every other feature is an error.
func TestBrowserScores(t *testing.T) {
	full, v := shownGraph(t)
	doc, err := v.frame("t")
	if err != nil {
		t.Fatal(err)
	}
	folded := full.Clone()
	var pins []string
	for i, n := range full.Nodes {
		switch {
		case n.Kind == at.Feature && n.Label != "":
			pins = append(pins, n.ID.String())
		case n.Kind == at.Feature: // a leaf whose reason is not known
			folded.Nodes[i].ID = at.ID{Kind: at.Error, Layer: n.Layer, Pos: n.Pos, Index: n.Index}
			for s := range full.Nodes {
				folded.Weights.Set(i, s, 0)
			}
		}
	}
	ids, _ := json.Marshal(pins)
	var r struct{ Error, None, Some string }
	run(t, doc, frameHelp+`
r.None=$('scores').textContent;
`+string(ids)+`.forEach(function(id){goTo(id);key('p')});
r.Some=$('scores').textContent;
`, &r)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	var n int
	var replacement, completeness float64
	if _, err := fmt.Sscanf(r.Some, "Pinned features: %d · replacement %f · completeness %f", &n, &replacement, &completeness); err != nil {
		t.Fatalf("%q: %v", r.Some, err)
	}
	s := folded.Score()
	if n != len(pins) || math.Abs(replacement-s.Replacement) > 0.01 || math.Abs(completeness-s.Completeness) > 0.01 {
		t.Errorf("the frame says %q; with the others as errors the graph has %.3f and %.3f", r.Some, s.Replacement, s.Completeness)
	}
	if !strings.HasPrefix(r.None, "Pin features") {
		t.Errorf("without pins: %q", r.None)
	}
}

// TestBrowserWhatIf: the sliders say what attribution.Respond says, one feature
// and two at once.
func TestBrowserWhatIf(t *testing.T) {
	full, v := shownGraph(t)
	doc, err := v.frame("t")
	if err != nil {
		t.Fatal(err)
	}
	var knobs []int
	for _, i := range v.ranking() {
		if v.nodes[i].Kind == at.Feature && len(knobs) < 2 {
			knobs = append(knobs, full.Find(v.nodes[i].ID))
		}
	}
	goal := full.Find(v.nodes[v.target].ID)
	answer := func(changes ...at.Change) float64 {
		r, err := full.Respond(changes, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Value[goal]
	}
	one := answer(at.Change{Node: knobs[0]})
	two := answer(at.Change{Node: knobs[0]}, at.Change{Node: knobs[1], Factor: 1.5})
	var r struct{ Error, None, One, Two string }
	run(t, doc, frameHelp+`
var turn=function(id,x){goTo(id);$('knob').value=x;$('knob').dispatchEvent(new Event('input',{bubbles:true}))};
var say=function(){var s='';[...$('what').children].forEach(function(li){if(li.textContent.indexOf(D.nodes.say[D.goal]+' ')===0)s=li.lastChild.textContent});return s};
turn('`+full.Nodes[knobs[0]].ID.String()+`','0');r.One=say();
turn('`+full.Nodes[knobs[1]].ID.String()+`','1.5');r.Two=say();
press('reset');r.None=$('what').textContent;
`, &r)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	for _, c := range []struct {
		got  string
		want float64
	}{{r.One, one}, {r.Two, two}} {
		var x float64
		if _, err := fmt.Sscanf(strings.Replace(strings.TrimSpace(c.got), "−", "-", 1), "%g", &x); err != nil || math.Abs(x-c.want) > 0.01*math.Abs(c.want)+1e-3 {
			t.Errorf("the frame says %q, Respond %.4g", c.got, c.want)
		}
	}
	if r.None != "" {
		t.Errorf("after reset: %q", r.None)
	}
}

// TestBrowserSaves: the saved picture is an SVG file without variables, the JSON
// holds graph and state, a box pins what is in it.
func TestBrowserSaves(t *testing.T) {
	full := planted(1, 12, 1.5)
	v := viewOf(t, pruned(t, full, 0.7, 0.95), GraphOptions{Full: full, Pinned: []at.ID{{Kind: at.Feature, Layer: 11, Pos: 10, Index: 5111}}})
	doc, err := v.frame("t")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Error, SVG, JSON, Names, Boxed string
	}
	run(t, doc, frameHelp+`
var blobs=[],names=[],old=URL.createObjectURL;URL.createObjectURL=function(b){blobs.push(b);return 'data:,'};
HTMLAnchorElement.prototype.click=function(){names.push(this.download)};
goTo('f6/5107@10');$('name').value='<b>mine</b>';$('name').dispatchEvent(new Event('change'));
press('svg');press('json');r.Names=names.join();
var p=$('pic'),b=p.getBoundingClientRect(),ev=function(n,x,y){p.dispatchEvent(new PointerEvent(n,{clientX:b.left+x,clientY:b.top+y,button:0,pointerType:'mouse',bubbles:true}))};
ev('pointerdown',b.width*.78,b.height*.14);ev('pointermove',b.width*.99,b.height*.33);ev('pointerup',b.width*.99,b.height*.33);
r.Boxed=$('scores').textContent;
var get=function(k,b){var f=new FileReader;f.onload=function(){r[k]=f.result;document.getElementById('result').textContent=JSON.stringify(r)};f.readAsText(b)};
get('SVG',blobs[0]);get('JSON',blobs[1]);
`, &r)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if r.Names != "graph.svg,view.json" {
		t.Errorf("files %s", r.Names)
	}
	d := xml.NewDecoder(strings.NewReader(r.SVG))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the saved SVG: %v", err)
		}
	}
	if strings.Contains(r.SVG, "var(") || !strings.Contains(r.SVG, "&lt;b&gt;mine&lt;/b&gt;") || !strings.Contains(r.SVG, "say Austin") {
		t.Errorf("the saved SVG of %d bytes holds variables, or lacks names", len(r.SVG))
	}
	var saved struct {
		Format string
		View   struct {
			Pins  []string
			Names map[string]string
		}
		Graph json.RawMessage
	}
	if err := json.Unmarshal([]byte(r.JSON), &saved); err != nil {
		t.Fatal(err)
	}
	frame, _ := v.data()
	data, err := json.Marshal(frame)
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if json.Compact(&a, data) != nil || json.Compact(&b, saved.Graph) != nil || a.Len() == 0 {
		t.Fatal("no graph in the saved JSON")
	}
	if saved.Format != "clt-view/1" || fmt.Sprint(saved.View.Pins) != "[f11/5111@10]" || saved.View.Names["f6/5107@10"] != "<b>mine</b>" {
		t.Errorf("the saved state is %+v", saved.View)
	}
	if !strings.HasPrefix(r.Boxed, "Pinned features: ") || strings.HasPrefix(r.Boxed, "Pinned features: 1 ") {
		t.Errorf("a box pins nothing: %q", r.Boxed)
	}
}
