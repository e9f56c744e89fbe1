package attribution

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// TestSizeIsRefused: what would not fit the budget is refused before any of it is
// allocated, with both numbers.
func TestSizeIsRefused(t *testing.T) {
	for _, c := range []struct {
		nodes  int
		double bool
		budget int64
		ok     bool
	}{{MaxNodes, false, 0, true}, {MaxNodes + 1, false, 0, false}, {MaxNodes, true, 0, false}, {16384, true, 0, true},
		{1000, false, 4e6, true}, {1000, false, 4e6 - 1, false}, {1 << 40, false, 0, false}, {0, true, 1, true}} {
		if err := CheckSize(c.nodes, c.double, c.budget); (err == nil) != c.ok {
			t.Errorf("%d nodes, double %v, budget %d: %v", c.nodes, c.double, c.budget, err)
		}
	}
	err := CheckSize(30000, false, 0)
	if err == nil || !strings.Contains(err.Error(), "3433.2 MiB") || !strings.Contains(err.Error(), "2048.0 MiB") {
		t.Errorf("30000 nodes: %v", err)
	}
}

// TestHugeFileIsRefused: a file that says it holds a huge graph is refused for
// that, by both readers.
func TestHugeFileIsRefused(t *testing.T) {
	const n = MaxNodes + 1
	header := fmt.Sprintf(`{"__metadata__":{"format":%q},"kind":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}`, FileFormat, n, n)
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, uint64(len(header))); err != nil {
		t.Fatal(err)
	}
	b.WriteString(header)
	b.Write(make([]byte, n))
	if _, err := ReadSafetensors(bytes.NewReader(b.Bytes()), int64(b.Len())); err == nil || !strings.Contains(err.Error(), "budget") {
		t.Errorf("safetensors: %v", err)
	}
	var j strings.Builder
	j.WriteString(`{"metadata":{"prompt":"x","prompt_tokens":["x"]},"nodes":[`)
	for i := range n {
		if i > 0 {
			j.WriteByte(',')
		}
		fmt.Fprintf(&j, `{"node_id":"%d"}`, i)
	}
	j.WriteString(`],"links":[]}`)
	if _, _, err := ReadJSON(strings.NewReader(j.String())); err == nil || !strings.Contains(err.Error(), "budget") {
		t.Errorf("JSON: %v", err)
	}
}
