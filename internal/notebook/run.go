package notebook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// RunOptions say where cells run.
type RunOptions struct {
	Root string // of the clone, whose packages cells import
	Dir  string // working directory of the cells
}

// Run executes the code cells with nothing but Go: each is a program of its own,
// as the kernel makes it, and what it shows becomes the cell's outputs. It stops at
// the first cell that fails. done is called after each cell.
func (n *Notebook) Run(ctx context.Context, o RunOptions, done func(cell, of int)) error {
	tmp, err := os.MkdirTemp("", "clt-nb-")
	if err != nil {
		return fmt.Errorf("notebook: %w; set TMPDIR to a folder you can write to", err)
	}
	defer os.RemoveAll(tmp)
	p, count := newProgram(), 0
	for i, cell := range n.cells {
		if cell["cell_type"] != "code" {
			continue
		}
		count++
		cell["outputs"], cell["execution_count"] = []any{}, json.Number(fmt.Sprint(count))
		file, err := p.cell(text(cell["source"]))
		if err == nil && file != "" {
			r := &cellRun{tmp: tmp, options: o}
			err = r.run(ctx, file)
			cell["outputs"] = r.outputs
		}
		if err != nil {
			return fmt.Errorf("notebook: %s: cell %d: %w", n.Name, i+1, err)
		}
		if done != nil {
			done(i+1, len(n.cells))
		}
	}
	return nil
}

// cellRun is one cell being run.
type cellRun struct {
	tmp     string
	options RunOptions
	outputs []any
	byID    map[string]int // display id -> place in outputs
}

func (r *cellRun) run(ctx context.Context, file string) error {
	source, binary := filepath.Join(r.tmp, "main.go"), filepath.Join(r.tmp, "cell")
	if err := os.WriteFile(source, []byte(file), 0o600); err != nil {
		return err
	}
	env := append(os.Environ(), "CLT_ROOT="+r.options.Root, "CLT_KEEP_GOING=1", "GOWORK=off", "GONB_TMP_DIR="+r.tmp, "GONB_DIR="+r.options.Dir)
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-w", "-o", binary, source)
	build.Dir, build.Env = r.options.Root, env
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("does not compile: %s; correct it", compileError(string(out)))
	}
	pipes, err := openPipes(r.tmp)
	if err != nil {
		return err
	}
	finished := make(chan struct{})
	go func() { pipes.read(r.show); close(finished) }()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary)
	cmd.Dir, cmd.Env = r.options.Dir, append(env, pipes.env()...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err = cmd.Run()
	pipes.close()
	<-finished
	for _, s := range []struct{ name, text string }{{"stdout", stdout.String()}, {"stderr", stderr.String()}} {
		if s.text != "" {
			r.outputs = append([]any{map[string]any{"output_type": "stream", "name": s.name, "text": s.text}}, r.outputs...)
		}
	}
	if err != nil {
		last := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return fmt.Errorf("%w %s; see the cell", err, strings.TrimSpace(last[0]))
	}
	return nil
}

// compileError is the first line that says what is wrong.
func compileError(out string) string {
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return strings.TrimSpace(out)
}

// show takes one output; one with an id replaces what was shown under it.
func (r *cellRun) show(d displayData) {
	data, meta := map[string]any{}, map[string]any{}
	for mime, v := range d.Data {
		data[mime] = v
	}
	for k, v := range d.Metadata {
		meta[k] = v
	}
	out := map[string]any{"output_type": "display_data", "data": data, "metadata": meta}
	if at, ok := r.byID[d.DisplayID]; ok && d.DisplayID != "" {
		r.outputs[at] = out
		return
	}
	if d.DisplayID != "" {
		if r.byID == nil {
			r.byID = map[string]int{}
		}
		r.byID[d.DisplayID] = len(r.outputs)
	}
	r.outputs = append(r.outputs, out)
}
