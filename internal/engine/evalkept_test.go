package engine

import (
	"reflect"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// An evaluation on the pocket world is made once for a transcoder and a number of
// tokens: the second time nothing is run, and the numbers are the same. Others are made
// anew.
func TestEvaluationIsKept(t *testing.T) {
	testenv.Slow(t)
	s := testService(t)
	runs := 0
	eval := func(req wire.EvalRequest) wire.Evaluation {
		t.Helper()
		req.World, req.Backend = true, "go"
		runs = 0
		e, err := s.Eval(t.Context(), req, func(wire.Progress) { runs++ })
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := eval(wire.EvalRequest{Tokens: 600})
	if runs == 0 {
		t.Fatal("an evaluation that reports nothing cannot be told from one that was not made")
	}
	if again := eval(wire.EvalRequest{Tokens: 600}); runs != 0 || !reflect.DeepEqual(first, again) {
		t.Errorf("made again, with %d reports: %+v", runs, again)
	}
	if eval(wire.EvalRequest{Tokens: 700}); runs == 0 {
		t.Error("another number of tokens was not evaluated")
	}
	if eval(wire.EvalRequest{Setup: wire.Setup{CLT: "pocket-batchtopk"}, Tokens: 600}); runs == 0 {
		t.Error("another transcoder was not evaluated")
	}
	if e := eval(wire.EvalRequest{Tokens: 600, Graphs: 1}); e.Graphs != 1 || first.Graphs != 0 {
		t.Errorf("%d graphs scored, %d in the evaluation before", e.Graphs, first.Graphs)
	}
}
