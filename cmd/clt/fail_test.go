package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// Work that fails: exit 1, one line, and nothing left behind.
func TestFailedWork(t *testing.T) {
	dir := t.TempDir()
	graph := filepath.Join(t.TempDir(), "g.safetensors")
	must(t, joined("attribute", "-ids", "96,3,4", "-o", graph)...)
	whole, err := os.ReadFile(graph)
	if err != nil {
		t.Fatal(err)
	}
	inputs := t.TempDir()
	save := func(name string, data []byte) string {
		path := filepath.Join(inputs, name)
		writeTestFile(t, path, string(data))
		return path
	}
	cut := save("cut.safetensors", whole[:len(whole)-100])
	stub := save("stub.safetensors", whole[:5])
	future := save("future.safetensors", bytes.Replace(whole, []byte("clt-graph/1"), []byte("clt-graph/9"), 1))
	nonsense := save("nonsense.json", []byte("{"))
	invalid := save("invalid.jsonl", []byte("{\"text\":\"a\"}\n{\"txt\":1}\n"))
	truncated := copyModel(t, func(b []byte) []byte { return b[:len(b)-7] })
	nan := copyModel(t, func(b []byte) []byte { return poisoned(t, b, "transformer.h.1.ln_1.weight") })
	tr := append([]string(nil), "-ids", "96,3,4", "-o", filepath.Join(dir, "x.safetensors"))
	lm := filepath.Join(dir, "lm")
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"truncated weights", "model.safetensors", append([]string{"run", "-backend", "go", "-model", truncated}, tr...)},
		{"NaN in weights", "h.1.ln_1.weight", append([]string{"run", "-backend", "go", "-model", nan}, tr...)},
		{"transcoder of another shape", "", append([]string{"attribute", "-backend", "go", "-model", tiny1, "-clt", transcoder}, tr...)},
		{"folder that is no model", "config.json", append([]string{"run", "-backend", "go", "-model", inputs}, tr...)},
		{"folder that is no transcoder", "", append([]string{"encode", "-backend", "go", "-model", tiny2, "-clt", inputs}, tr[:2]...)},
		{"feature that is not there", "", joined("intervene", "-ids", "96,3,4", "-edit", "0,1,999=0", "-o", filepath.Join(dir, "x.safetensors"))},
		{"target that is not there", "", joined("attribute", append([]string{"-targets", "feature:9/1@1"}, tr...)...)},
		{"generate past the context", "context", tiny("generate", "-ids", "96", "-n", "40")},
		{"truncated graph", "cut.safetensors", []string{"prune", cut, "-o", filepath.Join(dir, "x.json")}},
		{"stub of a graph", "stub.safetensors", []string{"score", stub}},
		{"graph of another version", "clt-graph/9", []string{"show", future, "-svg", filepath.Join(dir, "x.svg")}},
		{"graph that is not JSON", "nonsense.json", []string{"report", nonsense, "-o", filepath.Join(dir, "x.html")}},
		{"texts with a bad line", "line 2", []string{"train-lm", "-backend", "go", "-texts", invalid, "-o", lm}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := cli(t, c.args...)
			if line := lastLine(r.stderr); r.status == 0 || r.status > 2 || !message.MatchString(line) || !strings.Contains(line, c.want) {
				t.Errorf("exit %d, stderr %q, want a line with %q", r.status, r.stderr, c.want)
			}
			if left := entries(t, dir); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

// A file that is already there survives a failure.
func TestFailureKeepsOldFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "old.safetensors")
	writeTestFile(t, out, "old")
	nan := copyModel(t, func(b []byte) []byte { return poisoned(t, b, "transformer.wte.weight") })
	if r := cli(t, "run", "-backend", "go", "-model", nan, "-ids", "1", "-o", out); r.status != statusFailed {
		t.Errorf("exit %d", r.status)
	}
	if b, _ := os.ReadFile(out); string(b) != "old" {
		t.Errorf("the file now holds %q", b)
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		testenv.Skip(t, "no device that is always full: "+err.Error())
	}
	defer full.Close()
	for _, args := range [][]string{
		{"help"}, // the usage is not a result: its status does not matter
		{"tokenize", "-model", "gpt2", "Hello"},
		tiny("run", "-ids", "1,2", "-json"),
		joined("encode", "-ids", "1,2"),
	} {
		var stderr bytes.Buffer
		status := run(context.Background(), args, strings.NewReader(""), full, &stderr)
		if args[0] == "help" {
			continue
		}
		if line := lastLine(stderr.String()); status != statusFailed || !strings.Contains(line, "no space left") || !message.MatchString(line) {
			t.Errorf("%s: exit %d, %q", args[0], status, stderr.String())
		}
	}
	var stderr bytes.Buffer
	status := run(context.Background(), []string{"tokenize", "-model", "gpt2", "-jsonl"}, strings.NewReader(strings.Repeat("{\"text\":\"hello there\"}\n", 50000)), full, &stderr)
	if status != statusFailed || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("stream: exit %d, %q", status, stderr.String())
	}
}

// An interrupt ends a call with 130 and says what is left.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	defer w.Close()
	done := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		done <- run(ctx, []string{"tokenize", "-model", "gpt2", "-jsonl"}, r, io.Discard, &stderr)
	}()
	cancel()
	if status := <-done; status != statusInterrupted || stderr.String() != "clt tokenize: interrupted; nothing was written\n" {
		t.Errorf("exit %d, %q", status, stderr.String())
	}
	var more bytes.Buffer
	out := filepath.Join(t.TempDir(), "g.safetensors")
	status := run(ctx, joined("attribute", "-ids", "96,3,4", "-o", out), strings.NewReader(""), io.Discard, &more)
	if status != statusInterrupted || !strings.Contains(more.String(), "interrupted; ") {
		t.Errorf("attribute: exit %d, %q", status, more.String())
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("an interrupted call wrote its file")
	}
}

// What files name is other people's text: it can neither move the cursor nor begin a
// line.
func TestMessagesAreVisible(t *testing.T) {
	var stderr bytes.Buffer
	c := &call{verb: "run", err: &stderr}
	hostile := "x\x1b[2J\u202e\r\nclt run: done"
	c.remark("model %s", hostile)
	for _, text := range []string{c.sentence(fmt.Errorf("tensor %s; no", hostile)), strings.TrimSuffix(stderr.String(), "\n")} {
		if strings.ContainsAny(text, "\x1b\u202e\r\n") || !strings.Contains(text, "[2J") {
			t.Errorf("%q", text)
		}
	}
}
