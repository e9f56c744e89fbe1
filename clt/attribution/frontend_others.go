package attribution

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// What other programs write otherwise than the public schema says.

// nameNumbers reads a name of EleutherAI's attribute, such as
// intermediate_{pos}_{layer}_{feature} or output_{pos}_{rank}: so many numbers behind
// a word. It returns the last.
func nameNumbers(name, word string, n int) (int, bool) {
	parts := strings.Split(name, "_")
	if len(parts) != n+1 || parts[0] != word {
		return 0, false
	}
	last := int64(0)
	for _, p := range parts[1:] {
		var err error
		if last, err = strconv.ParseInt(p, 10, 32); err != nil {
			return 0, false
		}
	}
	return int(last), last >= 0
}

// lastLayer gives logits of attribute, which says layer -1, the layer after the last.
func lastLayer(nodes []Node, layers int) {
	if layers < 1 || layers > 1<<20 {
		layers = 0
		for i := range nodes {
			if k := nodes[i].Kind; k == Feature || k == Error {
				layers = max(layers, nodes[i].Layer+1)
			}
		}
	}
	for i := range nodes {
		if n := &nodes[i]; n.Kind == Logit && n.Layer < 0 {
			n.Layer = layers
		}
	}
}

// namesTokens says whether the names of all token nodes hold the token's id.
func namesTokens(nodes []jsonNode) bool {
	for i := range nodes {
		if n := &nodes[i]; n.Type == typeToken {
			if id, ok := middle(n.ID, "E", n.Pos); !ok || id > math.MaxInt32 {
				return false
			}
		}
	}
	return true
}

// The saved view is JSON in a file of its own, and text in an address; saved graphs of
// the site have either.
type (
	looseNames []string // or names with commas between
	looseRows  [][]any  // or JSON in a text
	looseText  string   // or the JSON that the text should hold
)

// UnmarshalJSON takes a list or a text.
func (n *looseNames) UnmarshalJSON(text []byte) error {
	var list string
	if json.Unmarshal(text, &list) != nil {
		return json.Unmarshal(text, (*[]string)(n))
	}
	*n = nil
	for _, name := range strings.Split(list, ",") {
		if name != "" {
			*n = append(*n, name)
		}
	}
	return nil
}

// UnmarshalJSON takes rows or a text of them.
func (r *looseRows) UnmarshalJSON(text []byte) error {
	var rows string
	if json.Unmarshal(text, &rows) == nil {
		if text = []byte(rows); rows == "" {
			return nil
		}
	}
	return json.Unmarshal(text, (*[][]any)(r))
}

// UnmarshalJSON takes a text or anything else as its text.
func (t *looseText) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, (*string)(t)) != nil {
		*t = looseText(text)
	}
	return nil
}

var (
	nodeInText   = regexp.MustCompile(`"node_id"\s*:\s*("(?:[^"\\]|\\.)*")`)
	sourceInText = regexp.MustCompile(`"source"\s*:\s*("(?:[^"\\]|\\.)*")`)
	targetInText = regexp.MustCompile(`"target"\s*:\s*("(?:[^"\\]|\\.)*")`)
)

// syntaxError explains why a text is no JSON. Python writes numbers that are not finite
// as NaN and Infinity, which JSON does not have: then it names the node or the link.
func syntaxError(data []byte, err error) error {
	other := fmt.Errorf("%w; is this a graph in the public JSON schema?", err)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset < 1 || int(syntax.Offset) > len(data) {
		return other
	}
	at := int(syntax.Offset) - 1
	value := ""
	for _, v := range []string{"NaN", "Infinity"} {
		if bytes.HasPrefix(data[at:], []byte(v)) {
			value = v
		}
	}
	if value == "" {
		return other
	}
	if at > 0 && data[at-1] == '-' {
		value = "-" + value
	}
	owner := fmt.Sprintf("byte %d", at)
	object := data[max(0, bytes.LastIndexByte(data[:at], '{')):]
	if end := bytes.IndexByte(object, '}'); end >= 0 {
		object = object[:end]
	}
	source, target := sourceInText.FindSubmatch(object), targetInText.FindSubmatch(object)
	if n := nodeInText.FindSubmatch(object); n != nil {
		owner = "node " + string(n[1])
	} else if source != nil && target != nil {
		owner = fmt.Sprintf("link from %s to %s", source[1], target[1])
	}
	return fmt.Errorf("%s has the value %s; numbers must be finite", owner, value)
}
