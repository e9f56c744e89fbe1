package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// pieces keeps what arrives on stdout, write by write.
type pieces struct{ list []string }

func (p *pieces) Write(b []byte) (int, error) {
	p.list = append(p.list, string(b))
	return len(b), nil
}

// Text goes to stdout while it is made; what stands there in the end is the text as a
// whole.
func TestGenerateWritesAlong(t *testing.T) {
	args := []string{"generate", "-backend", "go", "-prompt", "The cat", "-n", "40", "-temperature", "1", "-seed", "4", "-samples", "2"}
	whole := decode[wire.GenerateResponse](t, must(t, append(args, "-json")...))
	var out pieces
	var stderr bytes.Buffer
	if status := run(context.Background(), args, strings.NewReader(""), &out, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	if got, want := strings.Join(out.list, ""), whole.Text+"\n---\n"+whole.More[0].Text+"\n"; got != want {
		t.Errorf("written %q, want %q", got, want)
	}
	if len(out.list) < 3 || !strings.HasPrefix(whole.Text, out.list[0]) || out.list[0] == whole.Text {
		t.Errorf("written in %d pieces, the first %q", len(out.list), out.list[0])
	}
}

// An interrupt leaves the text so far, in whole lines.
func TestGenerateInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := &stopping{cancel: cancel}
	var stderr bytes.Buffer
	status := run(ctx, []string{"generate", "-backend", "go", "-prompt", "The cat", "-n", "5000", "-slide"}, strings.NewReader(""), out, &stderr)
	text := strings.Join(out.list, "")
	if status != 130 || !strings.HasPrefix(text, "The cat") || !strings.HasSuffix(text, "\n") ||
		!strings.HasSuffix(stderr.String(), "interrupted; the text so far was written\n") {
		t.Errorf("status %d, %q, %q", status, text, stderr.String())
	}
}

// stopping interrupts at the first text.
type stopping struct {
	pieces
	cancel func()
}

func (s *stopping) Write(b []byte) (int, error) {
	s.cancel()
	return s.pieces.Write(b)
}

// What the model cannot do is a wrong call, told before it runs.
func TestGenerateWrongCalls(t *testing.T) {
	long := strings.TrimSuffix(strings.Repeat("1,", 40), ",") // the context is 32
	for _, c := range []struct {
		want string
		args []string
	}{
		{"ask for at most 29", []string{"-ids", "96,3,4", "-n", "30"}},
		{"40 tokens, the context of tiny2 is 32", []string{"-ids", long, "-n", "3"}},
		{"97 at position 1 is outside the vocabulary 0..96", []string{"-ids", "1,97", "-n", "3"}},
		{"97 at position 0 is outside the vocabulary 0..96", []string{"-ids", "97," + long, "-n", "3", "-slide"}},
		{"-stop 97 is outside the vocabulary 0..96", []string{"-ids", "1", "-stop", "3,97"}},
		{"-temperature +Inf", []string{"-ids", "1", "-temperature", "inf"}},
		{"-repetition-penalty +Inf", []string{"-ids", "1", "-repetition-penalty", "inf"}},
	} {
		r := cli(t, tiny("generate", c.args...)...)
		if line := lastLine(r.stderr); r.status != 2 || !strings.Contains(line, c.want) || !message.MatchString(line) || r.out != "" {
			t.Errorf("%v: exit %d, %q, want %q", c.args, r.status, r.stderr, c.want)
		}
	}
	if out := must(t, tiny("generate", "-ids", long, "-n", "3", "-slide")...); !strings.HasPrefix(out, long+",") || strings.Count(out, ",") != 42 {
		t.Errorf("a prompt longer than the context, which slides: %q", out)
	}
}
