package convert

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

// All faults of another project's files are said at once, each once, and none where
// there are none.
func TestCheckSaysAll(t *testing.T) {
	s, _ := forgeSource(t, 1, true)
	s.write(t)
	if faults := Check(os.DirFS(s.dir), Forge); len(faults) > 0 {
		t.Errorf("a good folder has %v", faults)
	}
	const weights = "clt_weights.safetensors"
	delete(s.files[weights], "b_enc")
	s.put(weights, "W_dec", newRnd(1).normal(1, 5, nFeatures, dModel))
	s.put(weights, "W_more", newRnd(1).normal(1, 2))
	s.files[weights]["W_enc"].v[3], s.files[weights]["log_threshold"].v[0] = math.NaN(), math.Inf(1)
	s.write(t)
	faults := Check(os.DirFS(s.dir), Forge)
	text := errors.Join(faults...).Error()
	for _, want := range []string{`tensor "b_enc" is missing`, `"W_dec" has shape [5 5 4], should be [6 5 4]`, `tensor "W_more" is not known`,
		`"W_enc" holds 1 values that are not finite, the first, NaN`, `"log_threshold" holds 1 values`} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is said %d times in:\n%s", want, strings.Count(text, want), text)
		}
	}
	if len(faults) != 5 {
		t.Errorf("%d faults, want 5:\n%s", len(faults), text)
	}
	s.configs["clt_cfg.json"] = []byte("{")
	s.write(t)
	if faults := Check(os.DirFS(s.dir), Forge); len(faults) != 1 || !strings.Contains(faults[0].Error(), "is the file whole?") {
		t.Errorf("a broken config: %v", faults)
	}
	if faults := Check(os.DirFS(s.dir), Sparsify); len(faults) == 0 {
		t.Error("another layout passes")
	}
}
