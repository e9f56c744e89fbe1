package lab

import (
	"context"
	"fmt"

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
	st := &EngineStatus{State: s.State()}
	s.do("status", wire.Empty{}, &st.StatusResponse, nil)
	return st
}

// EngineStatus is a running engine and what it holds.
type EngineStatus struct {
	State wire.State
	wire.StatusResponse
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
	return viz.Table("The engine of this kernel", []string{"what", "value", ""}, rows)
}
