package viz

import (
	"flag"
	"math"
	"os"
	"testing"
	"time"
)

var dumpDir = flag.String("dump", "", "write sample pages to this folder, to look at")

// TestDump writes every component to one page for the eye: go test -dump DIR.
func TestDump(t *testing.T) {
	if *dumpDir == "" {
		return
	}
	os.WriteFile(*dumpDir+"/basic.html", []byte(`<!doctype html><meta charset="utf-8"><body style="background:#888">`+samples().HTML), 0o644)
}

func samples() Output {
	toks := []string{endOfText, "Fact", ":", " the", " capital", " of", " the", " state", " containing", " Dallas", " is", "\n", " שלום", "\xf0\x9f", "\x98\x80", "     ", "\u202eevil"}
	act := []float64{math.NaN(), 0, 0, 0, 1.1, 0, 0.1, 2.2, 0.4, 5.4, 1.2, 0, 0.2, 1, 2, 0, -1}
	var loss, mse, dead Series
	loss.Name, mse.Name, dead.Name = "loss", "reconstruction", "dead %"
	for i := range 1000 {
		x := float64(i)
		loss.Y = append(loss.Y, 3*math.Exp(-x/200)+0.1+0.05*math.Sin(x*1.7)*math.Sin(x/3))
		mse.Y = append(mse.Y, 2*math.Exp(-x/150)+0.02+0.01*math.Sin(x*2.3))
		dead.Y = append(dead.Y, 0.3*(1-math.Exp(-x/400)))
	}
	before := []Prediction{{" Austin", 0.41, 15.2}, {" Dallas", 0.12, 13.9}, {" Texas", 0.08, 13.4}, {" the", 0.05, 13}, {" Houston", 0.02, 12}}
	after := []Prediction{{" Sacramento", 0.37, 15.1}, {" Austin", 0.05, 12.8}, {" California", 0.11, 13.6}, {" the", 0.06, 13.2}}
	return Join("all",
		Tokens(toks, []Row{{Name: "L5/f1234", Values: act}}),
		Tokens(toks, []Row{{Name: "L5/f1234 Texas", Values: act}, {Name: "L8/f7 say a capital", Values: act[3:]}, {Name: "KL", Values: act[5:], Max: 8}}),
		TopK(before, after, "model", "Texas off", "Predictions after “capital of the state containing Dallas is”"),
		TopK(before, nil),
		Curve("Training", []Series{loss, mse, dead}, CurveOptions{XLabel: "step", YLabel: "nats / NMSE", LogY: true, Smooth: 0.9}),
		Curve("Linear", []Series{loss, mse}, CurveOptions{XLabel: "step", YLabel: "nats", Zero: true}),
		Table("Evaluation", []string{"method", "KL", "top-1"}, [][]string{{"CLT", "0.12", "91 %"}, {"zero ablation", "5.3", "3 %"}}),
		Check("row identity", true, "largest error 3e−6, limit 1e−4"),
		Check("top-1", false, "got 0.81, want 0.955; train longer"),
		Warn("error share", "34 % of the target's input is error"),
	)
}

func TestDumpGraph(t *testing.T) {
	if *dumpDir == "" {
		return
	}
	full := planted(1, 12, 1.5)
	for name, cut := range map[string][2]float64{"s": {0.62, 0.9}, "m": {0.8, 0.98}} {
		g := pruned(t, full, cut[0], cut[1])
		o, err := Graph(g, GraphOptions{Full: full})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d of %d nodes, html %d bytes", name, len(g.Nodes), len(full.Nodes), len(o.HTML))
		os.WriteFile(*dumpDir+"/graph-"+name+".html", []byte(`<!doctype html><meta charset="utf-8"><body style="background:#eee;margin:8px">`+o.HTML), 0o644)
		os.WriteFile(*dumpDir+"/graph-"+name+".txt", []byte(o.Plain+"\n\n"+o.Markdown), 0o644)
	}
}

// TestDumpFrame writes the frame alone with a script that plays a reader.
func TestDumpFrame(t *testing.T) {
	if *dumpDir == "" {
		return
	}
	full := planted(1, 12, 1.5)
	v, err := newView(pruned(t, full, 0.8, 0.98), GraphOptions{Full: full}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	v.layout()
	doc, _ := v.frame("t")
	play := map[string]string{
		"hover": `var p=document.getElementById('pic').getBoundingClientRect();var k=p.width/D2.W/2;var i=D2.id.indexOf('f6/5107@10');document.getElementById('pic').onpointermove({clientX:p.left+D2.x[i]*k+3,clientY:p.top+D2.y[i]*k,pointerType:'mouse'});`,
		"dark":  `document.documentElement.setAttribute('data-theme','dark');['ArrowDown','ArrowDown','Enter','p'].forEach(function(k){document.onkeydown({key:k,target:document.getElementById('list'),preventDefault:function(){}})});`,
		"cut":   `var c=document.getElementById('cut');c.value=50;c.oninput();document.getElementById('inp').checked=true;document.getElementById('inp').onchange();document.getElementById('q').value='say';document.getElementById('q').oninput();document.onkeydown({key:'?',target:document.body,preventDefault:function(){}});`,
	}
	for n, p := range play {
		os.WriteFile(*dumpDir+"/frame-"+n+".html", []byte(doc+"<script>var D2=JSON.parse(document.getElementById('data').textContent);"+p+"</script>"), 0o644)
	}
}

func TestDumpPage(t *testing.T) {
	if *dumpDir == "" {
		return
	}
	full := planted(1, 12, 1.5)
	b, err := GraphPage(pruned(t, full, 0.8, 0.98), PageOptions{Graph: GraphOptions{Full: full}, Provenance: Provenance{Tool: "clt v0.1.0", Go: "go1.26.8", Command: "clt attribute -prompt 'Fact: …' -o graph.json && clt export -html graph.json"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(len(b))
	os.WriteFile(*dumpDir+"/page.html", b, 0o644)
}

func TestDumpMore(t *testing.T) {
	if *dumpDir == "" {
		return
	}
	os.WriteFile(*dumpDir+"/more.html", []byte(`<!doctype html><meta charset="utf-8"><body style="background:#888">`+moreSamples().HTML), 0o644)
}

func moreSamples() Output {
	toks := []string{endOfText, "Fact", ":", " the", " capital", " of", " the", " state", " containing", " Dallas", " is"}
	var m, s [][]float64
	var layers []string
	for l := range 12 {
		var r, q []float64
		for p := range toks {
			r = append(r, math.Abs(math.Sin(float64(l*p)))*float64(p))
			q = append(q, math.Sin(float64(l*3+p)))
		}
		m, s = append(m, r), append(s, q)
		layers = append(layers, layerName(l))
	}
	s[3][4] = math.NaN()
	var heads [][][]float64
	for h := range 12 {
		var pat [][]float64
		for i := range toks {
			row := make([]float64, len(toks))
			sum := 0.0
			for j := range i + 1 {
				row[j] = math.Exp(2 * math.Sin(float64(h*i+j*(h+1))))
				sum += row[j]
			}
			for j := range row {
				row[j] /= sum
			}
			pat = append(pat, row)
		}
		heads = append(heads, pat)
	}
	var vals []float64
	for i := range 4000 {
		vals = append(vals, math.Exp(2*math.Sin(float64(i)*1.37)+math.Cos(float64(i)*0.77)))
	}
	vals = append(vals, 0, 0, 0, math.NaN())
	t0 := time.Unix(0, 0)
	mt := Meter{What: "attributing", Unit: "targets", Total: 5000}
	mt.Start(t0)
	mt.Update(t0.Add(15*time.Second), 1240)
	a := Generation{Name: "model", Tokens: []string{"The", " capital", " of", " Texas", " is", " Austin", ".", " It", " is", " a", " city", "\n", "Yes"}, KL: []float64{0, 0.1, 0.2, 0.1, 0, 3, 0.1, 0, 2, 1, 0.1, 0, 0}}
	b := Generation{Name: "replacement", Tokens: []string{"The", " capital", " of", " Texas", " is", " Dallas", ".", " It", " has", " a", " big", " city"}}
	return Join("more",
		Heat("Activation by layer and token", m, toks, layers, HeatOptions{YLabel: "layer", XLabel: "token", BottomUp: true}),
		Heat("Signed", s, toks, layers, HeatOptions{Signed: true}),
		Attention("Attention, layer 3", heads, toks),
		Hist("Activations", vals, HistOptions{LogX: true, SkipZero: true, XLabel: "activation"}),
		Hist("Counts", vals, HistOptions{LogCount: true, XLabel: "activation"}),
		mt.Output(t0.Add(15*time.Second), 1240, "loss 0.31"),
		mt.Finish(t0.Add(61*time.Second), 5000, ""),
		Diff("Two texts", a, b),
	)
}
