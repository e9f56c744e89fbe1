package viz

import (
	"fmt"
	"math"
	"strings"
)

// Attention draws the pattern of every head, weights[head][query][key], as
// small maps side by side; under each stand its mean entropy in nats, the share
// of attention on the first token, and its strongest pair beyond that. Where no
// query looks at later keys, their cells stay empty.
func Attention(title string, weights [][][]float64, tokens []string) Output {
	c := card{kind: "attention", title: title}
	head := []string{"head", "entropy", "on first", "strongest pair", "weight"}
	var rows [][]string
	body := `<div style="display:flex;flex-wrap:wrap;gap:12px">`
	causal := isCausal(weights)
	for k, m := range weights {
		h := newHeatMap(m, nil, nil, HeatOptions{Max: 1, Cell: math.Max(3, math.Min(14, 150/float64(max(1, len(m)))))})
		w, ht := h.size()
		h.left, h.top, h.W, h.H, h.causal = 0, 0, w, ht, causal
		entropy, first, q, key, best := attentionFacts(m)
		pair := ""
		if best > 0 && q < len(tokens) && key < len(tokens) {
			pair = quoted(tokens[q]) + " ← " + quoted(tokens[key])
		}
		rows = append(rows, []string{fmt.Sprint(k), num(entropy), pct(first), pair, num(best)})
		alt := fmt.Sprintf("head %d: entropy %s nats, %s on the first token", k, num(entropy), pct(first))
		body += `<div title="` + esc(alt+", "+pair) + `" style="width:` + css(math.Max(160, w)) + `px"><div style="position:relative;border:1px solid #D0D0D0;width:` + css(w) + `px;height:` + css(ht) + `px">` +
			strings.Replace(h.overlay(h.mapOnly(), 0, 0, w, ht), `alt=""`, `alt="`+esc(alt)+`"`, 1) + `</div><div>` + esc(fmt.Sprintf("head %d", k)) + `</div><div style="` + dimStyle + `">` + esc(num(entropy)+" nats · "+pct(first)+" on first") + `</div></div>`
	}
	c.body = body + "</div>"
	legend := "under each head: mean entropy, attention on the first token · query downwards, key to the right · dark blue 0, yellow 1"
	if causal {
		legend += " · empty: masked"
	}
	c.lines = append(c.lines, dim(legend))
	c.details = append(c.details, fold("Data: heads", htmlTable("Heads", false, head, rows)))
	c.markdown, c.plain = mdTable(title, head, rows), plainTable(title, head, rows)
	return c.output()
}

// isCausal says whether no head looks ahead.
func isCausal(weights [][][]float64) bool {
	for _, m := range weights {
		for i, row := range m {
			for _, w := range row[min(i+1, len(row)):] {
				if w != 0 {
					return false
				}
			}
		}
	}
	return true
}

// attentionFacts are the mean entropy of the rows, the mean weight on key 0,
// and the strongest pair with another key than 0 and the query itself.
func attentionFacts(m [][]float64) (entropy, first float64, q, k int, best float64) {
	for i, row := range m {
		for j, w := range row {
			if w > 0 {
				entropy -= w * math.Log(w) / float64(len(m))
			}
			if j == 0 {
				first += w / float64(len(m))
			} else if j != i && w > best {
				q, k, best = i, j, w
			}
		}
	}
	return entropy, first, q, k, best
}
