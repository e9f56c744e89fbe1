package gpt2

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/testbackend"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// TestLoadIsLean loads a checkpoint of the size of GPT-2 small in a process of its
// own: at most 1.5 times its weights in memory. The time is shown, not judged, since
// other work on the machine would be judged with it.
func TestLoadIsLean(t *testing.T) {
	if dir := os.Getenv("CLT_TEST_LEAN"); dir != "" {
		loadAndTell(t, dir)
		return
	}
	testenv.Slow(t)
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "peak memory is read from /proc; run on Linux")
	}
	m, err := Untrained(testbackend.Open(t, "go"), Small(), 1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLoadIsLean$", "-test.v")
	cmd.Env = testenv.ChildEnv(t, "CLT_TEST_LEAN="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`peak ([0-9]+) kB, ([^ ]+) `).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no measurement in %s", out)
	}
	peak, _ := strconv.ParseFloat(string(found[1]), 64)
	weights := 0
	for _, shape := range WeightShapes(Small()) {
		weights += 4 * elements(shape)
	}
	ratio := peak * 1024 / float64(weights)
	t.Logf("%d MB of weights: peak %.2f times that, %s", weights/1e6, ratio, found[2])
	if ratio > 1.5 {
		t.Errorf("loading takes %.2f times the weights, want at most 1.5", ratio)
	}
}

func loadAndTell(t *testing.T, dir string) {
	begin := time.Now()
	if _, err := Load(testbackend.Open(t, "go"), dir, LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	spent := time.Since(begin)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	peak := regexp.MustCompile(`VmHWM:\s+([0-9]+) kB`).FindSubmatch(status)
	t.Logf("peak %s kB, %s to load", peak[1], spent.Round(time.Millisecond))
}
