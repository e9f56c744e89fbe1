//go:build unix

package clt

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// killedRun is the environment variable with the folder of TestKilledChild.
const killedRun = "CLT_TEST_KILLED_RUN"

func killedSettings(dir string) (Config, TrainConfig) {
	cfg, tc := smallRun(ActBatchTopK)
	tc.Steps, tc.ReportEvery = 60, 100
	tc.CheckpointDir, tc.CheckpointEvery, tc.KeepCheckpoints = dir, 1, 2
	return cfg, tc
}

// TestKilledChild is the process that TestKillWhileSaving kills: it saves after
// every step.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killedRun)
	if dir == "" {
		testenv.Skip(t, "only as a child of TestKillWhileSaving")
	}
	cfg, tc := killedSettings(dir)
	data := synthetic(2, 12, 30, 3, 2000, 5)
	if _, _, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0)); err != nil {
		t.Fatal(err)
	}
}

// A run that is killed without warning again and again, often during a save, and
// resumed each time, is the uninterrupted run bit for bit.
func TestKillWhileSaving(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "ck")
	kills, torn, last := 0, 0, 0
	for try := 0; try < 200 && last < 60; try++ {
		child := exec.Command(self, "-test.run=TestKilledChild")
		child.Env = testenv.ChildEnv(t, killedRun+"="+dir)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		// Wait for progress, then a moment that differs from try to try.
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if n, _ := CheckpointStep(dir); n >= min(last+5, 60) {
				break
			}
		}
		time.Sleep(time.Duration(try%7) * 700 * time.Microsecond)
		if child.Process.Kill() == nil {
			kills++
		}
		_ = child.Wait()
		if left, _ := filepath.Glob(filepath.Join(dir, ".step-*")); len(left) > 0 {
			torn++
		}
		if last, err = CheckpointStep(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d of them during a save", kills, torn)
	cfg, tc := killedSettings(dir)
	data := synthetic(2, 12, 30, 3, 2000, 5)
	got, _, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	tc.CheckpointDir = ""
	want, _, err := trainSmall(t, context.Background(), cfg, tc, data.Batches(tc.Batch, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want.Transcoder.weights() {
		if !slices.Equal((*w.slot)[w.layer], (*got.Transcoder.weights()[i].slot)[w.layer]) {
			t.Errorf("%s differs", w.name)
		}
	}
}
