package viz

import (
	_ "embed"
	"encoding/json"
	"strings"
)

//go:embed frame/host.js
var hostJS string

//go:embed frame/alive.js
var aliveSource string

var aliveJS = hosted(aliveSource)

// hosted puts host.js into a script that calls it.
func hosted(script string) string {
	return strings.Replace(script, "  // host.js comes here\n", hostJS, 1)
}

//go:embed frame/readout.js
var readoutJS string

const aliveHead = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">` +
	`<title>figure</title><style>html,body{margin:0}body{display:flow-root;background:#FFFFFF;color:#1A1A1A;font:13px/1.45 ` + sans + `}` +
	`#figure:focus-visible{outline:2px solid #0072B2;outline-offset:-2px}.on{outline:2px solid #1A1A1A;outline-offset:1px}.big{zoom:2}` +
	`#figure{overflow-x:auto}.clt-static{overflow:visible!important}#say{min-height:18px;margin:4px 0 0;font-size:12px;color:#595959}</style></head><body class="tex2jax_ignore mathjax_ignore"><main><div id="figure" tabindex="0" role="group" aria-label="figure" aria-describedby="say">`

const aliveTail = `</div><div id="say" aria-live="polite">Point at the figure, or use the arrow keys, to read values.</div></main>`

// alive is the script that puts a figure into a frame where its hover texts can be
// read by pointer and keys; the frame copies the still figure, so that it costs
// 4 KB whatever the size of the picture.
func alive(title string) string {
	if title == "" {
		title = "figure"
	}
	var args []string
	for _, s := range []string{aliveHead, aliveTail + "<script>" + compact(readoutJS) + "</script></body></html>", visible(cut(title, 160))} {
		b, err := json.Marshal(s) // escapes <, >, & and line separators
		if err != nil {
			return ""
		}
		args = append(args, string(b))
	}
	return compact(aliveJS) + "(" + strings.Join(args, ",") + ");"
}

// Still is the output without its script: the same picture, tables and texts.
func (o Output) Still() Output {
	for {
		before, rest, ok := strings.Cut(o.HTML, "<script>")
		if !ok {
			return o
		}
		_, after, _ := strings.Cut(rest, "</script>")
		o.HTML = before + after
	}
}
