package lab

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/server"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// TestMain lets the test program be the engine that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		os.Exit(engineMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func engineMain(args []string) int {
	if words := os.Getenv("TEST_ENGINE_FAILS"); words != "" {
		fmt.Fprintln(os.Stderr, words)
		return 1
	}
	for _, e := range os.Environ() {
		if strings.HasPrefix(e, "GONB_") || strings.HasPrefix(e, "GOFLAGS=") {
			fmt.Fprintln(os.Stderr, "inherited", e)
			return 1
		}
	}
	fs := flag.NewFlagSet("engine", flag.ExitOnError)
	cfg := server.Config{Log: os.Stderr}
	fs.StringVar(&cfg.Socket, "socket", "", "")
	fs.IntVar(&cfg.Watch, "watch", 0, "")
	fs.DurationVar(&cfg.Idle, "idle", 0, "")
	fs.Parse(args)
	verbs := server.Table{"die": server.Handle(func(context.Context, struct{}, func(wire.Progress)) (int, error) {
		fmt.Fprintln(os.Stderr, "fatal error: out of memory")
		os.Exit(2)
		return 0, nil
	})}
	maps.Copy(verbs, cannedVerbs())
	maps.Copy(verbs, featureVerbs())
	if err := server.Serve(context.Background(), cfg, verbs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// kernel makes this test look like a cell: a private folder of a kernel, and the test program as engine.
func kernel(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gonb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GONB_TMP_DIR", dir)
	t.Setenv("CLT_ENGINE", exe)
	t.Setenv("GOFLAGS", "-ldflags=-w")
}

// screen replaces the notebook and the exit; it returns what was shown and the exit status.
func screen(t *testing.T) (shown *[]viz.Output, status *int) {
	t.Helper()
	shown, status = new([]viz.Output), new(int)
	oldOut, oldExit := out, exit
	out, exit = recorder{shown}, func(code int) { *status = code }
	t.Cleanup(func() { out, exit = oldOut, oldExit })
	return shown, status
}

type recorder struct{ shown *[]viz.Output }

func (r recorder) show(_ string, o viz.Output) { *r.shown = append(*r.shown, o) }
func (r recorder) sync()                       {}

func TestEngineOutlivesCellsAndComesBack(t *testing.T) {
	kernel(t)
	shown, status := screen(t)
	begin := time.Now()
	first := Open()
	t.Cleanup(first.Stop)
	t.Logf("started in %v", time.Since(begin))
	if n := first.SelfTest(3, 1); n != 3 {
		t.Errorf("%d steps, want 3", n)
	}
	begin = time.Now()
	second := Open() // as the next cell does
	t.Logf("reopened in %v", time.Since(begin))
	if second.state.PID != first.state.PID {
		t.Error("the second cell started an engine of its own")
	}
	if n := second.SelfTest(2, 1); n != 5 {
		t.Errorf("%d steps, want 5: state was lost", n)
	}
	if w := second.State().Watch; w != os.Getppid() {
		t.Errorf("engine watches %d, want the parent %d", w, os.Getppid())
	}
	second.Stop()
	third := Open()
	defer third.Stop()
	if third.state.PID == first.state.PID || third.SelfTest(1, 0) != 1 {
		t.Error("after Stop the old engine answered")
	}
	if *status != 0 || len(*shown) != 0 {
		t.Errorf("status %d, shown %v", *status, *shown)
	}
}

func TestKilledEngineIsSaidAndReplaced(t *testing.T) {
	kernel(t)
	shown, status := screen(t)
	s := Open()
	s.do("die", struct{}{}, nil, nil)
	if *status != 1 || len(*shown) != 1 {
		t.Fatalf("status %d, shown %v", *status, *shown)
	}
	line := (*shown)[0].Plain
	for _, want := range []string{"✗ the engine ended during die", "out of memory", "run this cell again"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q does not say %q", line, want)
		}
	}
	*status = 0
	again := Open() // the killed engine left its socket
	defer again.Stop()
	if n := again.SelfTest(1, 0); n != 1 || *status != 0 {
		t.Errorf("new engine: %d steps, status %d", n, *status)
	}
}

func TestEngineThatDoesNotStart(t *testing.T) {
	kernel(t)
	t.Setenv("TEST_ENGINE_FAILS", "clt engine: no memory; close something")
	_, err := open(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no memory") {
		t.Errorf("%v, want the engine's last words", err)
	}
	t.Setenv("CLT_ENGINE", filepath.Join(t.TempDir(), "nothing"))
	if _, err := open(t.Context()); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("missing program: %v", err)
	}
}

func TestCallEndsWithContext(t *testing.T) {
	kernel(t)
	s, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const all = 100000
	steps := 0
	err = s.call(ctx, wire.SelfTest, wire.SelfTestRequest{Steps: all, EveryMS: 5}, nil, func(p wire.Progress) {
		if steps = p.Done; steps >= 3 {
			cancel() // the stop button, after the third step
		}
	})
	if !errors.Is(err, errInterrupted) || steps < 3 || steps == all {
		t.Errorf("%v after %d steps", err, steps)
	}
	if err := s.call(t.Context(), "nosuch", nil, nil, nil); err == nil || !strings.Contains(err.Error(), "restart the kernel") {
		t.Errorf("unknown verb: %v", err)
	}
}

func TestFailIsOneRedLine(t *testing.T) {
	for _, c := range []struct {
		err    error
		line   string
		status int
	}{
		{&wire.Error{Message: "gpt2: no <model>", Cure: "use pocket"}, "✗ attribute: gpt2: no <model>; use pocket", 1},
		{errInterrupted, "✗ attribute was interrupted; run the cell again to go on", 130},
		{errors.New("lab: a\nb"), "✗ a b", 1},
	} {
		shown, status := screen(t)
		fail("attribute", c.err)
		if *status != c.status || len(*shown) != 1 || (*shown)[0].Plain != c.line {
			t.Errorf("%v: status %d, %v; want %q", c.err, *status, *shown, c.line)
		}
		if h := (*shown)[0].HTML; strings.Contains(h, "<model>") || !strings.Contains(h, "color:#B00020") {
			t.Errorf("html %s", h)
		}
	}
}

func TestBar(t *testing.T) {
	now := time.Unix(0, 0)
	var lines []string
	b := &bar{verb: "train", now: func() time.Time { return now }, begin: now,
		draw: func(running bool, text, _ string, f float64) {
			lines = append(lines, fmt.Sprintf("%v|%s|%.2f", running, text, f))
		}}
	for i := 0; i <= 1000; i++ { // 10 s at 100 steps a second
		b.update(wire.Progress{Phase: "train", Done: i, Total: 2000, Values: map[string]float64{"l0": 4, "loss": 0.25}})
		now = now.Add(10 * time.Millisecond)
	}
	if n := len(lines); n < 35 || n > 41 {
		t.Errorf("%d drawings in 10 s, want about 4 a second", n)
	}
	got, want := lines[len(lines)-1], "true|train 990 / 2000 · l0 4 · loss 0.25 · 10 s left|0.49"
	if cut := len("true|train 9"); got[:cut] != want[:cut] || !strings.Contains(got, "· l0 4 · loss 0.25 · 10 s left|0.") {
		t.Errorf("line %q, want like %q", got, want)
	}
	b.finish(nil)
	if got := lines[len(lines)-1]; got != "false|train: 1000 steps in 10 s · l0 4 · loss 0.25|-1.00" {
		t.Errorf("last line %q", got)
	}
	b.finish(errInterrupted)
	if got := lines[len(lines)-1]; !strings.HasPrefix(got, "false|train: stopped at train 1000 / 2000 in ") {
		t.Errorf("stopped line %q", got)
	}
	lines = nil
	quick := &bar{verb: "tokens", now: func() time.Time { return now }, begin: now, draw: b.draw}
	quick.update(wire.Progress{Done: 1})
	quick.finish(nil)
	if len(lines) != 0 {
		t.Errorf("a quick call drew %v", lines)
	}
	if o := barOutput(false, "done", "", -1); strings.Contains(o.HTML, "<progress") || o.Plain != "done" || o.Markdown != "done" {
		t.Errorf("what stays in the notebook: %+v", o)
	}
}

func TestOutdated(t *testing.T) {
	t.Setenv("CLT_ENGINE", "")
	root := t.TempDir()
	p := place{root: root}
	write := func(name string, age time.Duration) {
		path := filepath.Join(root, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if !p.outdated() {
		t.Error("no program, but not outdated")
	}
	write("bin/clt", time.Hour)
	write("clt/train.go", 2*time.Hour)
	write("go.mod", 2*time.Hour)
	write("clt/train_test.go", 0)
	write("viz/testdata/golden.svg", 0)
	if p.outdated() {
		t.Error("tests and golden files made the program outdated")
	}
	write("gpt2/pocket/model.safetensors", time.Minute)
	if !p.outdated() {
		t.Error("a newer embedded file did not make the program outdated")
	}
}

func TestFindRoot(t *testing.T) {
	t.Setenv("CLT_ROOT", "")
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "notebooks", "lab", "lab_test.go")); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if _, err := findRoot(); err == nil || !strings.Contains(err.Error(), "CLT_ROOT") {
		t.Errorf("outside a clone: %v", err)
	}
}

func TestCellsThatWaitedAreSkipped(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GONB_TMP_DIR", dir)
	if wasWaiting(dir) {
		t.Error("skipped without a failure")
	}
	markFailure()
	source := filepath.Join(dir, cellSource)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{20 * time.Millisecond, true}, {2 * time.Second, false}, {-time.Second, false}} {
		if err := os.WriteFile(source, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		failed, err := os.Stat(filepath.Join(dir, failedMark))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(source, time.Time{}, failed.ModTime().Add(c.after)); err != nil {
			t.Fatal(err)
		}
		if got := wasWaiting(dir); got != c.want {
			t.Errorf("a cell whose turn came %v after the failure: skipped %v, want %v", c.after, got, c.want)
		}
	}
}

func TestCleanEnvironment(t *testing.T) {
	got := cleanEnvironment([]string{"HOME=/h", "GONB_PIPE=/p", "GONB_PIPE_BACK=/q", "GONB_TMP_DIR=/t", "GOFLAGS=-x", "CLT_ROOT=/old"}, "/new")
	if want := []string{"HOME=/h", "CLT_ROOT=/new"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFilesOutsideANotebook(t *testing.T) {
	root := t.TempDir()
	t.Setenv("CLT_ROOT", root)
	t.Chdir(root)
	var stdout, stderr bytes.Buffer
	f := &files{stdout: &stdout, stderr: &stderr}
	f.show("", viz.Output{HTML: "<p>graph</p>", Plain: "graph: 12 nodes", Kind: "graph"})
	f.show("", viz.Output{HTML: "<b>x</b>", Plain: "✗ no", Kind: "error"})
	f.show("live", viz.Output{HTML: "<p>1</p>", Plain: "curve", Kind: "curve"})
	f.show("live", viz.Output{HTML: "<p>2</p>", Plain: "curve", Kind: "curve"})
	if got, want := stdout.String(), "graph: 12 nodes\n→ out/01-graph.html\ncurve\ncurve\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if stderr.String() != "✗ no\n" {
		t.Errorf("stderr %q", stderr.String())
	}
	page, err := os.ReadFile("out/01-graph.html")
	if err != nil || !bytes.Contains(page, []byte("<p>graph</p>")) || !bytes.Contains(page, []byte("default-src 'none'")) {
		t.Errorf("page %s (%v)", page, err)
	}
	if page, err := os.ReadFile("out/live.html"); err != nil || !bytes.Contains(page, []byte("<p>2</p>")) {
		t.Errorf("live page %s (%v)", page, err)
	}
}
