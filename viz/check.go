package viz

// Check is one line: a mark, the word, a name and the numbers behind it, as in
// "✓ ok  row identity: largest error 3e−6, limit 1e−4". The word is always
// there: colour alone says nothing.
func Check(name string, ok bool, detail string) Output {
	if ok {
		return state("ok", name, detail)
	}
	return state("fail", name, detail)
}

// Warn is a Check that neither holds nor fails: something to know.
func Warn(name, detail string) Output { return state("warn", name, detail) }

func state(word, name, detail string) Output {
	mark, colour := statement(word)
	sep := ""
	if detail != "" {
		sep = ": "
	}
	html := `<div class="clt-out clt-check tex2jax_ignore mathjax_ignore" lang="en" style="background:#FFFFFF;color:#1A1A1A;border-left:4px solid ` + colour +
		`;padding:3px 10px;margin:2px 0;max-width:1080px;box-sizing:border-box;font-family:` + sans + `;font-size:13px">` +
		`<b style="color:` + colour + `">` + mark + " " + word + `</b> ` + esc(name) + sep + esc(detail) + "</div>\n"
	return Output{
		HTML: html, Kind: "check",
		Markdown: "**" + mark + " " + word + "** " + mdText(name) + sep + mdText(detail),
		Plain:    mark + " " + word + " " + visible(name) + sep + visible(detail),
	}
}
