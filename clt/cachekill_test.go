package clt

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// killedSteps are large enough that a kill hits a write.
func killedSteps(computed *atomic.Int64) Steps {
	s := numberedSteps(computed)
	step := s.Step
	s.Tokens = 40000
	s.Step = func(ctx context.Context, n int) (Batch, error) {
		one, err := step(ctx, n)
		var b Batch
		for l := range one.In {
			in, out := make([]float32, 0, s.Tokens*s.DModel), make([]float32, 0, s.Tokens*s.DModel)
			for range s.Tokens / 10 {
				in, out = append(in, one.In[l]...), append(out, one.Out[l]...)
			}
			b.In, b.Out = append(b.In, in), append(b.Out, out)
		}
		return b, err
	}
	return s
}

// A process that fills a cache is killed; what it has written whole is used, the rest
// is computed, and the batches are those of the model.
func TestCacheSurvivesKill(t *testing.T) {
	if dir := os.Getenv("CLT_TEST_FILL_CACHE"); dir != "" {
		c := openTestCache(t, dir, CacheFloat32, killedSteps(nil))
		for step := 0; ; step++ {
			if _, err := c.step(context.Background(), step%64); err != nil {
				t.Fatal(err)
			}
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, 7 * time.Millisecond, 23 * time.Millisecond} {
		dir := filepath.Join(t.TempDir(), "cache")
		child := exec.Command(self, "-test.run", "^TestCacheSurvivesKill$")
		child.Env = testenv.ChildEnv(t, "CLT_TEST_FILL_CACHE="+dir)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(time.Millisecond) {
			if list, _ := filepath.Glob(filepath.Join(dir, "step-*")); len(list) > 0 {
				break
			}
		}
		time.Sleep(after)
		_ = child.Process.Kill()
		_ = child.Wait()
		whole, _ := filepath.Glob(filepath.Join(dir, "step-*"))
		if len(whole) == 0 {
			t.Fatal("the child wrote nothing in a minute")
		}
		var computed atomic.Int64
		c := openTestCache(t, dir, CacheFloat32, killedSteps(&computed))
		for step := range len(whole) + 2 {
			got, err := c.step(context.Background(), step)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := killedSteps(nil).Step(context.Background(), step)
			if !sameBatches([]Batch{got}, []Batch{want}) {
				t.Fatalf("step %d differs after a kill", step)
			}
		}
		if computed.Load() > 2 {
			t.Errorf("%d steps were computed again, of %d that were whole", computed.Load()-2, len(whole))
		}
	}
}
