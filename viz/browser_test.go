package viz

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// run opens a document in a headless browser, appends a script that fills the
// object r after the page has settled, and returns that object.
func run(t *testing.T, document, script string, result any) {
	t.Helper()
	testenv.Slow(t)
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		testenv.Skip(t, "no Chromium on PATH; install chromium to test the scripts in a browser")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	document += `<pre id="result"></pre><script>addEventListener('error',function(e){window.failed=e.message});
setTimeout(function(){var r={};try{` + script + `}catch(e){r.Error=String(e)}if(window.failed)r.Error=window.failed;document.getElementById('result').textContent=JSON.stringify(r)},1500)</script>`
	if err := os.WriteFile(file, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--no-first-run", "--disable-features=IsolateSandboxedIframes", "--disable-site-isolation-trials", "--user-data-dir="+dir, "--window-size=1200,1400",
		"--virtual-time-budget=9000", "--dump-dom", "file://"+file)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	m := regexp.MustCompile(`(?s)<pre id="result">(.*?)</pre>`).FindSubmatch(out)
	if m == nil || len(m[1]) == 0 {
		t.Fatal("the page gave no result")
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), result); err != nil {
		t.Fatalf("%v: %s", err, m[1])
	}
}

// TestBrowserFrame: the script in the frame counts and draws what Go does.
func TestBrowserFrame(t *testing.T) {
	full := planted(1, 12, 1.5)
	v := viewOf(t, pruned(t, full, 0.8, 0.98), GraphOptions{Full: full})
	doc, err := v.frame("t")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Error, Sum, Half, Live, Found string
		Edges, Options, Lit, Faded    int
	}
	run(t, doc, `
var $=function(i){return document.getElementById(i)},key=function(k,to){($(to||'list')).dispatchEvent(new KeyboardEvent('keydown',{key:k,bubbles:true}))};
r.Sum=$('sum').textContent;
r.Edges=($('edges').innerHTML.match(/M/g)||[]).length;
r.Options=$('list').children.length;
key('ArrowDown');key('ArrowDown');key('Enter');
r.Live=$('live').textContent;
r.Lit=document.querySelectorAll('#lit .edge').length;
r.Faded=document.querySelectorAll('#pic.dim').length;
$('q').value='say';$('q').dispatchEvent(new Event('input',{bubbles:true}));r.Found=$('found').textContent;key('Escape','q');
$('cut').value=50;$('cut').dispatchEvent(new Event('input',{bubbles:true}));r.Half=$('sum').textContent;
`, &r)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	want := fmt.Sprintf("%d of %d nodes, %s of influence", v.shownNodes, v.totalNodes, pct(v.shownInfl))
	if r.Sum != want {
		t.Errorf("frame says %q, Go %q", r.Sum, want)
	}
	if r.Edges != v.shownLinks {
		t.Errorf("frame draws %d edges, Go %d", r.Edges, v.shownLinks)
	}
	if n, infl := v.shownAt(0.5); r.Half != fmt.Sprintf("%d of %d nodes, %s of influence", n, v.totalNodes, pct(infl)) {
		t.Errorf("at one half the frame says %q, Go %d nodes and %s", r.Half, n, pct(infl))
	}
	if !strings.Contains(r.Live, "Texas") || r.Lit == 0 || r.Faded != 1 {
		t.Errorf("two steps down from the target: %q, %d edges lit, %d pictures faded", r.Live, r.Lit, r.Faded)
	}
	if r.Found != "4 found" {
		t.Errorf("search: %s", r.Found)
	}
}

// shownAt is what the slider shows: the most influential nodes up to a share
// of all influence, tokens and targets always.
func (v *view) shownAt(limit float64) (nodes int, infl float64) {
	sum := 0.0
	for _, i := range v.frameRank() {
		d := &v.nodes[i]
		keep := sum < limit
		switch kindLetters[d.Kind] {
		case 'f', 'g', 'e', 't':
			sum += d.infl / v.allInfl
		case 'p', 'b':
			continue
		}
		if k := kindLetters[d.Kind]; k == 't' || k == 'l' {
			keep = true
		}
		if keep {
			nodes += d.members
			if kindLetters[d.Kind] != 'l' {
				infl += d.infl / v.allInfl
			}
		}
	}
	return nodes, infl
}

// TestBrowserPage: hostile text stays text, the frame replaces the picture, it
// cannot reach the page, and nothing is fetched.
func TestBrowserPage(t *testing.T) {
	g, o := hostileGraph()
	page, err := GraphPage(g, PageOptions{Title: hostile[1], Graph: o})
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Error, Still, Title, Reach, Link string
		Frames, Requests, Images         int
		Pwned                            bool
		Height                           int
	}
	run(t, string(page), `
var f=document.querySelector('iframe.clt-frame');
r.Frames=document.querySelectorAll('iframe').length;
r.Height=f?f.offsetHeight:0;
r.Still=getComputedStyle(document.querySelector('.clt-static')).display;
r.Title=document.title;
r.Pwned=!!window.__pwn;
r.Images=document.querySelectorAll('img[src=x]').length;
r.Requests=performance.getEntriesByType('resource').filter(function(e){return !/^data:/.test(e.name)}).length;
try{r.Reach=String(f.contentDocument)}catch(e){r.Reach='denied'}
r.Link=(document.querySelector('figcaption a')||{}).download||'';
`, &r)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if r.Frames != 1 || r.Still != "none" || r.Height < 300 {
		t.Errorf("%d frames of height %d, still picture %q", r.Frames, r.Height, r.Still)
	}
	if r.Title != visible(hostile[1]) || r.Images != 0 || r.Pwned {
		t.Errorf("title %q, %d foreign images", r.Title, r.Images)
	}
	if r.Requests != 0 || r.Reach == "[object HTMLDocument]" {
		t.Errorf("%d requests, frame %s", r.Requests, r.Reach)
	}
	if r.Link != "s-graph.svg" {
		t.Errorf("download link %q", r.Link)
	}
}

// TestBrowserWithoutFrame: where the frame's scripts may not run, the still
// picture stays and no empty frame is left.
func TestBrowserWithoutFrame(t *testing.T) {
	o, err := Graph(tiny(), GraphOptions{})
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(o.HTML, "allow-scripts", "allow-forms", 1)
	var r struct {
		Error, Still string
		Frames       int
	}
	run(t, "<!DOCTYPE html><body>"+broken+`<script>var old=setTimeout;window.setTimeout=function(f,ms){return old(f,ms===1500?6000:ms)}</script>`,
		`r.Frames=document.querySelectorAll('iframe').length;r.Still=getComputedStyle(document.querySelector('.clt-static')).display`, &r)
	if r.Error != "" || r.Frames != 0 || r.Still != "block" {
		t.Errorf("%+v: want no frame and the still picture", r)
	}
}
