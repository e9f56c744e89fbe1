//go:build unix

package engine

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// killedTraining is the environment variable with the request of the child.
const killedTraining = "CLT_TEST_KILLED_TRAINING"

// TestKilledTrainingChild is the process that TestKilledTraining kills.
func TestKilledTrainingChild(t *testing.T) {
	asked := os.Getenv(killedTraining)
	if asked == "" {
		testenv.Skip(t, "only as a child of TestKilledTraining")
	}
	smallModel(t) // for its small evaluations
	var req wire.TrainRequest
	if err := json.Unmarshal([]byte(asked), &req); err != nil {
		t.Fatal(err)
	}
	if _, err := testService(t).Train(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
}

// A training that is killed without warning again and again, while it saves after
// every step, fills a cache and writes what it made, makes the same files in the end.
func TestKilledTraining(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	req := smallRun(t, smallModel(t), nil)
	req.Config = json.RawMessage(`{"report_every":1,"stat_tokens":512,"checkpoint_every":1,"keep_checkpoints":1,"kl_steps":5,"kl_weight":10,"kl_batch":3,"kl_lr":1e-3}`)
	req.Cache, req.CacheDType, req.Resume = filepath.Join(filepath.Dir(req.Out), "cache"), clt.CacheInt8, true
	asked, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	checkpoints := filepath.Join(req.Out, "checkpoints")
	kills := 0
	for try, last := 0, 0; try < 40; try++ {
		child := exec.Command(self, "-test.run=^TestKilledTrainingChild$")
		child.Env = testenv.ChildEnv(t, killedTraining+"="+string(asked))
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- child.Wait() }()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if n, _ := clt.CheckpointStep(checkpoints); n >= min(last+6, 25) {
				break
			}
		}
		time.Sleep(time.Duration(try%5) * 3 * time.Millisecond)
		if child.Process.Kill() == nil {
			kills++
		}
		if err := <-ended; err == nil {
			break // it had ended before
		}
		if last, err = clt.CheckpointStep(checkpoints); err != nil {
			t.Fatal(err)
		}
		if last == 25 && try%5 == 4 {
			break // killed while it evaluates and saves, several times
		}
	}
	t.Logf("%d kills", kills)
	if kills < 4 {
		t.Errorf("%d kills, want at least 4", kills)
	}
	s := testService(t)
	if _, err := s.Train(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	got := made(t, req.Out)
	req.Out, req.Resume = filepath.Join(t.TempDir(), "clt"), false
	if _, err := s.Train(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	sameRun(t, "killed", got, made(t, req.Out))
}

// A disk that is full when a checkpoint is saved stops the run with what to do; the
// last good checkpoint stays, and with room again the run goes on to the same files.
func TestFullDiskWhileTraining(t *testing.T) {
	s, model := testService(t), smallModel(t)
	want := smallRun(t, model, nil)
	want.Config = json.RawMessage(`{"report_every":1,"stat_tokens":512,"checkpoint_every":5}`)
	if _, err := s.Train(t.Context(), want, nil); err != nil {
		t.Fatal(err)
	}
	for name, fill := range map[string]func(t *testing.T, dir string) (undo func()){"full disk": fillDisk, "file size limit": limitFiles} {
		t.Run(name, func(t *testing.T) {
			if name != "full disk" && os.Getenv(limitedFiles) == "" {
				alone(t) // the log that go test keeps of this process would meet the limit too
				return
			}
			req := want
			req.Out = filepath.Join(t.TempDir(), "disk", "clt")
			if name == "full disk" {
				smallDisk(t, filepath.Dir(req.Out))
			}
			var undo func()
			_, err := s.Train(t.Context(), req, func(p wire.Progress) {
				if p.Phase == "train" && p.Done == 7 {
					undo = fill(t, filepath.Dir(req.Out))
				}
			})
			if undo == nil {
				t.Fatalf("step 7 was not reached: %v", err)
			}
			undo()
			if err == nil || !strings.Contains(err.Error(), "; make room, ") || !strings.Contains(err.Error(), "step 10 of 20") ||
				!strings.HasSuffix(err.Error(), "the checkpoint of step 5 is whole, from which the same run goes on") || strings.Contains(err.Error(), ".tmp") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			if n, err := clt.CheckpointStep(filepath.Join(req.Out, "checkpoints")); n != 5 || err != nil {
				t.Errorf("the newest checkpoint is of step %d, %v", n, err)
			}
			req.Resume = true
			if _, err := s.Train(t.Context(), req, nil); err != nil {
				t.Fatal(err)
			}
			sameRun(t, name, made(t, req.Out), made(t, want.Out))
		})
	}
}

// limitedFiles is the environment variable of a process in which files may be limited.
const limitedFiles = "CLT_TEST_LIMITED_FILES"

// alone runs this test in a process of its own.
func alone(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.v", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	child.Env = testenv.ChildEnv(t, limitedFiles+"=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

// limitFiles lets no file grow beyond a few bytes.
func limitFiles(t *testing.T, _ string) (undo func()) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = 512
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
	}
}

// fillDisk leaves no room.
func fillDisk(t *testing.T, dir string) (undo func()) {
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	_ = f.Close()
	return func() { _ = os.Remove(path) }
}
