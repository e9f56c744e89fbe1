package lab

import (
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// exit ends the cell; tests replace it.
var exit = os.Exit

// fail ends the cell with one red line: what went wrong; what to do. The exit status is not zero, so that Run All stops.
func fail(verb string, err error) {
	code := 1
	line := wire.FromError(err).Error()
	switch {
	case errors.Is(err, errInterrupted):
		code = 130
		line = verb + " was interrupted; run the cell again to go on"
	case !strings.HasPrefix(line, "lab: ") && !strings.Contains(line, verb):
		line = verb + ": " + line
	}
	if root, err := findRoot(); err == nil && isClone(root) {
		line = inClone(line, root)
	}
	line = "✗ " + brief(strings.TrimPrefix(line, "lab: "))
	out.show("", viz.Output{
		HTML:     `<div class="tex2jax_ignore mathjax_ignore" style="background:#FFFFFF;color:#B00020;font-weight:600;padding:2px 8px">` + html.EscapeString(line) + `</div>`,
		Markdown: "**" + line + "**",
		Plain:    line,
		Kind:     "error",
	})
	out.sync()
	markFailure()
	exit(code)
}

// longest is how many characters a line has at most: an error may quote a prompt.
const longest = 600

// brief shortens a line in its middle; its end holds the cure.
func brief(line string) string {
	if len(line) <= longest { // bytes are at least as many
		return line
	}
	r := []rune(line)
	if len(r) <= longest {
		return line
	}
	return string(r[:longest*2/3]) + fmt.Sprintf(" … %d characters … ", len(r)-longest) + string(r[len(r)-longest/3:])
}

// cannotWrite is the error for a file, named as in the clone, that could not be
// written: the system's reason without the path around it, which may be long and
// private.
func cannotWrite(name string, err error) error {
	reason := err
	for e := errors.Unwrap(reason); e != nil; e = errors.Unwrap(reason) {
		reason = e
	}
	return &wire.Error{Message: fmt.Sprintf("lab: %s cannot be written: %v", filepath.ToSlash(name), reason),
		Cure: "make the folder writable, or work in a copy of the clone that is"}
}

// remark shows one dim line that is no result.
func remark(line string) {
	out.show("", viz.Output{
		HTML:     `<div class="tex2jax_ignore mathjax_ignore" style="opacity:0.78">` + html.EscapeString(line) + `</div>`,
		Markdown: "*" + line + "*",
		Plain:    line,
		Kind:     "remark",
	})
}

// plainMarkdown keeps text from being read as Markdown or HTML.
var plainMarkdown = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "#", "\\#", "|", "\\|", "<", "&lt;", "&", "&amp;")

// Say shows a paragraph of text, formatted as fmt.Sprintf does.
func Say(format string, values ...any) {
	text := fmt.Sprintf(format, values...)
	Show(viz.Output{HTML: "<p class=\"tex2jax_ignore mathjax_ignore\" style=\"max-width:60em\">" + html.EscapeString(text) + "</p>", Markdown: plainMarkdown.Replace(text), Plain: text, Kind: "text"})
}

// Check ends the cell if a claim of the notebook does not hold, and shows a green line if it does. The texts say what is
// claimed, what was expected and what was got.
func Check(ok bool, claim string, detail ...any) {
	words := slices.Clone(detail) // the caller's slice stays as it is
	for i, d := range words {
		if x, isFloat := d.(float64); isFloat {
			words[i] = fmt.Sprintf("%.4g", x) // nobody reads seventeen digits
		}
	}
	text := strings.TrimSpace(fmt.Sprint(words...))
	claim, text = brief(claim), brief(text)
	record(claim, ok)
	if !ok {
		fail("check", &wire.Error{Message: "lab: " + claim + " does not hold", Cure: text})
		return
	}
	Show(viz.Check(claim, true, text))
}

// Must ends the cell if there is an error, and returns the value otherwise.
func Must[T any](value T, err error) T {
	if err != nil {
		fail("must", err)
	}
	return value
}
