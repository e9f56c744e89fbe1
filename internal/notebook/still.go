package notebook

import (
	"regexp"
	"strings"
)

// What an output may consist of that is kept in a page: tags that show something,
// attributes that neither run nor load anything, all written as our own outputs write
// them. It is a list of what is allowed, and whatever is not on it, or is written in any
// other way, is refused: no parser has to guess as a browser would.
var (
	stillTag = regexp.MustCompile(`^</?(?:a|abbr|b|bdi|br|caption|code|dd|del|details|div|dl|dt|em|figcaption|figure|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|pre|s|section|small|span|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|u|ul|wbr)` +
		`(?:\s+(?:(?:class|id|title|alt|width|height|align|colspan|rowspan|scope|lang|dir|role|aria-[a-z]+|data-[a-z]+)="[^"<>]*"|open|hidden|` +
		`href="#[^"<>]*"|src="data:image/(?:svg\+xml|png|jpeg|gif);base64,[A-Za-z0-9+/=]*"|style="[^"<>]*"))*\s*/?>`)
	loads = regexp.MustCompile(`(?i)url\s*\(|expression|@import|position\s*:\s*fixed|\\|/\*|&`) // in a style; & as of &#117;
	// what to do for a picture that can be explored, which a page cannot do
	trustNote = regexp.MustCompile(`<p class="clt-note"[^<>]*>[^<>]*</p>`)
	style     = regexp.MustCompile(`\sstyle="([^"]*)"`)
)

// still takes the scripts out of the HTML of an output of ours, and says whether what is
// left shows something and does nothing.
func still(html string) (string, bool) {
	var b strings.Builder
	for {
		begin := strings.Index(html, "<script>")
		if begin < 0 {
			break
		}
		length := strings.Index(html[begin:], "</script>")
		if length < 0 {
			return "", false
		}
		b.WriteString(html[:begin])
		html = html[begin+length+len("</script>"):]
	}
	b.WriteString(html)
	shown := trustNote.ReplaceAllString(b.String(), "")
	return shown, harmful(shown) == ""
}

// harmful is the beginning of the first thing that is not on the list, "" if all is.
func harmful(html string) string {
	for {
		at := strings.IndexByte(html, '<')
		if at < 0 {
			return ""
		}
		html = html[at:]
		tag := stillTag.FindString(html)
		if tag == "" {
			return html[:min(len(html), 200)]
		}
		for _, s := range style.FindAllStringSubmatch(tag, -1) {
			if loads.MatchString(s[1]) {
				return tag
			}
		}
		html = html[len(tag):]
	}
}
