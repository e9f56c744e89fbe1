package clt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

// A checkpoint is a folder step-00000200 with all variables (weights, moments,
// dead counters, running threshold) and state.json. Folders appear whole.
const (
	checkpointPrefix = "step-"
	checkpointForm   = "clt-checkpoint/1"
	stateFile        = "state.json"
	variablesFile    = "variables.safetensors"
)

// checkpointState is state.json.
type checkpointState struct {
	Format  string      `json:"format"`
	Step    int         `json:"step"`
	Config  Config      `json:"config"`
	Train   TrainConfig `json:"train"`
	Stats   Stats       `json:"stats"`
	Control control     `json:"control"`
	MeanOut [][]float32 `json:"mean_out"`
}

// CheckpointStep is the number of steps, and so of batches used, of the newest
// checkpoint in a folder; 0 if there is none.
func CheckpointStep(dir string) (int, error) {
	steps, err := checkpoints(dir)
	if err != nil || len(steps) == 0 {
		return 0, err
	}
	return steps[len(steps)-1], nil
}

// checkpoints lists the steps of the checkpoints in a folder, oldest first.
func checkpoints(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("clt: checkpoints: %w; name a folder", err)
	}
	var steps []int
	for _, e := range entries {
		var n int
		if rest, ok := strings.CutPrefix(e.Name(), checkpointPrefix); ok && e.IsDir() {
			if _, err := fmt.Sscanf(rest, "%d", &n); err == nil && e.Name() == checkpointName(n) {
				steps = append(steps, n)
			}
		}
	}
	slices.Sort(steps)
	return steps, nil
}

func checkpointName(step int) string { return fmt.Sprintf("%s%08d", checkpointPrefix, step) }

// save writes a checkpoint and removes the oldest beyond KeepCheckpoints.
func (t *trainer) save() error {
	var list []safetensors.Tensor
	for _, name := range t.machine.names() {
		values, shape, err := t.machine.get(name)
		if err != nil {
			return err
		}
		list = append(list, safetensors.F32(name, shape, values))
	}
	state, err := json.MarshalIndent(checkpointState{checkpointForm, t.done, t.cfg, t.tc, *t.stats, t.control, t.stats.MeanOut}, "", " ")
	if err != nil {
		return fmt.Errorf("clt: checkpoint: %w", err)
	}
	dir := filepath.Join(t.tc.CheckpointDir, checkpointName(t.done))
	err = atomicfile.WriteDir(dir, func(tmp string) error {
		if err := safetensors.WriteFile(filepath.Join(tmp, variablesFile), nil, list...); err != nil {
			return err
		}
		return atomicfile.Write(filepath.Join(tmp, stateFile), append(state, '\n'))
	})
	if err != nil {
		return &unsavedError{dir, err}
	}
	steps, err := checkpoints(t.tc.CheckpointDir)
	if err != nil {
		return err
	}
	for len(steps) > t.tc.KeepCheckpoints {
		if err := os.RemoveAll(filepath.Join(t.tc.CheckpointDir, checkpointName(steps[0]))); err != nil {
			return fmt.Errorf("clt: remove old checkpoint: %w", err)
		}
		steps = steps[1:]
	}
	return nil
}

// unsavedError says that a checkpoint could not be written.
type unsavedError struct {
	dir   string
	cause error
}

// Error leaves out the names of temporary files.
func (e *unsavedError) Error() string {
	cause := e.cause
	var p *fs.PathError
	if errors.As(cause, &p) {
		cause = p.Err
	}
	return fmt.Sprintf("checkpoint %s: %v; make room, or let the folder be written", e.dir, cause)
}

func (e *unsavedError) Unwrap() error { return e.cause }

// kept says which checkpoint there is.
func (t *trainer) kept() string {
	if n, err := CheckpointStep(t.tc.CheckpointDir); err == nil && n > 0 {
		return fmt.Sprintf("the checkpoint of step %d is whole, from which the same run goes on", n)
	}
	return "there is no older checkpoint"
}

// restore loads the newest checkpoint, if there is one, and clears away what a
// run that was killed while saving has left.
func (t *trainer) restore() (bool, error) {
	stale, _ := filepath.Glob(filepath.Join(t.tc.CheckpointDir, "."+checkpointPrefix+"*.tmp*"))
	for _, dir := range stale {
		if err := os.RemoveAll(dir); err != nil {
			return false, fmt.Errorf("clt: clear %s: %w", t.tc.CheckpointDir, err)
		}
	}
	step, err := CheckpointStep(t.tc.CheckpointDir)
	if err != nil || step == 0 {
		return false, err
	}
	dir := filepath.Join(t.tc.CheckpointDir, checkpointName(step))
	if err := t.load(dir); err != nil {
		return false, fmt.Errorf("clt: resume from %s: %w; use the settings of that run, or another checkpoint folder", dir, err)
	}
	return true, nil
}

func (t *trainer) load(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return err
	}
	var s checkpointState
	if err := strictJSON(data, stateFile, &s); err != nil {
		return err
	}
	if s.Format != checkpointForm {
		return fmt.Errorf("%s has format %q, this program reads %q", stateFile, s.Format, checkpointForm)
	}
	if s.Config != t.cfg {
		return fmt.Errorf("the checkpoint is of config %+v, this run wants %+v", s.Config, t.cfg)
	}
	if changed := t.tc.Changed(s.Train); changed != "" {
		return fmt.Errorf("the checkpoint was made with other settings: now %s", changed)
	}
	t.stats, t.control, t.done = &s.Stats, s.Control, s.Step
	t.stats.MeanOut = s.MeanOut
	if err := t.setWeights(blank(t.cfg)); err != nil {
		return err
	}
	return t.loadVariables(filepath.Join(dir, variablesFile))
}

// deciding is the settings that decide what a run makes, as JSON.
func (c TrainConfig) deciding() string {
	c.ReportEvery, c.CheckpointEvery, c.KeepCheckpoints = 0, 0, 0
	if c.ScaleOut == "" { // written before there was a choice
		c.ScaleOut = ScaleNorm
	}
	text, _ := json.Marshal(c)
	return string(text)
}

// Changed lists the deciding settings that are not as they were, as "batch 512 (was
// 2048)"; it is empty if a run with these settings makes the same.
func (c TrainConfig) Changed(was TrainConfig) string {
	var now, before map[string]json.RawMessage
	if json.Unmarshal([]byte(c.deciding()), &now) != nil || json.Unmarshal([]byte(was.deciding()), &before) != nil {
		return "settings that cannot be read"
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if a, b := now[name], before[name]; b == nil {
			list = append(list, fmt.Sprintf("%s %s (was not set)", name, a))
		} else if !bytes.Equal(a, b) {
			list = append(list, fmt.Sprintf("%s %s (was %s)", name, a, b))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if now[name] == nil {
			list = append(list, fmt.Sprintf("%s not set (was %s)", name, before[name]))
		}
	}
	return strings.Join(list, ", ")
}

// loadVariables sets every variable; the file must have exactly those.
func (t *trainer) loadVariables(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, name := range t.machine.names() {
		_, shape, err := t.machine.get(name)
		if err != nil {
			return err
		}
		info, _ := f.Info(name)
		values, err := f.Float32(name)
		if err != nil {
			return err
		}
		if !slices.Equal(info.Shape, shape) {
			return fmt.Errorf("%s: %s is %v, should be %v", path, name, info.Shape, shape)
		}
		if err := t.machine.set(name, values); err != nil {
			return err
		}
	}
	if names, want := f.Names(), t.machine.names(); len(names) != len(want) {
		return fmt.Errorf("%s has %d tensors, should have %d", path, len(names), len(want))
	}
	return nil
}
