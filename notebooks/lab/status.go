package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Status shows the engine of this kernel: its process, its memory, the open models
// and transcoders, and whether it works on something. It starts no engine.
func Status() {
	if s := running("status"); s != nil {
		Show(s.Status())
		return
	}
	Show(viz.Warn("no engine runs", "lab.Open() starts one"))
}

// Stop ends the engine of this kernel, if one runs, and frees its memory.
func Stop() {
	if s := running("stop"); s != nil {
		s.Stop()
	}
}

// sharedMark in the kernel's folder says that the kernel shares an engine.
const sharedMark = "clt-shared"

// Share lets this kernel use the engine of the clone from now on instead of one of its
// own, together with all kernels that share and with programs outside notebooks: a
// large model is then in memory once. That engine ends with Stop, which ends it for all,
// or half an hour after the last call. With CLT_SHARE=1 in the environment of make lab
// all kernels share.
func Share() {
	dir := os.Getenv("GONB_TMP_DIR")
	if dir == "" || shares(dir) {
		return // it does already
	}
	Stop()
	if err := os.WriteFile(filepath.Join(dir, sharedMark), nil, 0o600); err != nil {
		fail("share", err)
		return
	}
	remark("this notebook shares the engine of the clone from now on")
	out.sync()
}

func shares(kernel string) bool {
	_, err := os.Stat(filepath.Join(kernel, sharedMark))
	return err == nil || os.Getenv("CLT_SHARE") == "1"
}

// running connects to the engine without starting it; nil if there is none.
func running(verb string) *Session {
	p, err := findPlace()
	if err != nil {
		fail(verb, err)
		return nil
	}
	s := newSession(p)
	if s.state, err = s.ask(context.Background()); err != nil {
		return nil
	}
	return s
}

// Status tells what the engine holds.
func (s *Session) Status() *EngineStatus {
	st := &EngineStatus{State: s.State(), shared: s.place.watch == 0}
	s.do("status", wire.Empty{}, &st.StatusResponse, nil)
	return st
}

// EngineStatus is a running engine and what it holds.
type EngineStatus struct {
	State wire.State
	wire.StatusResponse
	shared bool
}

// Output is a table.
func (e *EngineStatus) Output() viz.Output {
	process := fmt.Sprint(e.State.PID)
	if noTimes {
		process = "runs"
	}
	rows := [][]string{
		{"process", process, fmt.Sprintf("%d calls so far, %d running", e.State.Calls, e.State.Busy)},
		{"memory", fmt.Sprintf("%d MiB", e.MemoryMiB), fmt.Sprintf("at most %d MiB so far", e.PeakMiB)},
	}
	for _, b := range e.Backends {
		rows = append(rows, []string{"backend", b, ""})
	}
	for _, m := range e.Models {
		rows = append(rows, []string{m.Kind, m.Name, fmt.Sprintf("%d parameters, %s, %s", m.Parameters, m.DType, short(m.SHA256))})
	}
	title := "The engine of this kernel"
	if e.shared {
		title = "The engine of this clone, which several notebooks may use"
	}
	return viz.Table(title, []string{"what", "value", ""}, rows)
}
