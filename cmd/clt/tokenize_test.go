package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

type tokens struct {
	IDs     []int32
	Offsets [][2]int
}

func TestTokenize(t *testing.T) {
	out := must(t, "tokenize", "-model", "gpt2", "Hello world", "naïve")
	if out != "{\"ids\":[15496,995],\"offsets\":[[0,5],[5,11]]}\n{\"ids\":[2616,38776],\"offsets\":[[0,2],[2,6]]}\n" {
		t.Errorf("%q", out)
	}
	if list := decode[[]tokens](t, must(t, "tokenize", "-model", "gpt2", "-json", "a", "b")); len(list) != 2 {
		t.Errorf("-json: %v", list)
	}
	if got := must(t, "tokenize", "-model", "gpt2", "-decode", "15496,995"); got != "{\"text\":\"Hello world\",\"bytes_b64\":\"SGVsbG8gd29ybGQ=\"}\n" {
		t.Errorf("decoded %q", got)
	}
	special := decode[tokens](t, must(t, "tokenize", "-model", "gpt2", "-allow-special", "a<|endoftext|>"))
	plain := decode[tokens](t, must(t, "tokenize", "-model", "gpt2", "a<|endoftext|>"))
	if !slices.Equal(special.IDs, []int32{64, 50256}) || len(plain.IDs) != 8 {
		t.Errorf("special %v, plain %v", special.IDs, plain.IDs)
	}
	if p := decode[tokens](t, must(t, "tokenize", " The capital of France is")); len(p.IDs) != 5 {
		t.Errorf("pocket: %v", p)
	}
}

// Lines in, lines out, in order, however many there are.
func TestTokenizeLines(t *testing.T) {
	var in strings.Builder
	n := 20000
	for i := range n {
		fmt.Fprintf(&in, "{\"text\":\"line number %d <|endoftext|>\",\"allow_special\":%v}\n", i, i%2 == 0)
	}
	r := cliIn(t, in.String(), "tokenize", "-model", "gpt2", "-jsonl")
	lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	if r.status != 0 || len(lines) != n {
		t.Fatalf("exit %d, %d lines, %s", r.status, len(lines), r.stderr)
	}
	gpt2 := tokenizer.GPT2()
	for _, i := range []int{0, 1, 7777, n - 1} {
		text := fmt.Sprintf("line number %d <|endoftext|>", i)
		want := gpt2.Encode(text)
		if i%2 == 0 {
			want = gpt2.EncodeSpecial(text)
		}
		if got := decode[tokens](t, lines[i]); !slices.Equal(got.IDs, want) {
			t.Errorf("line %d: %v, want %v", i, got.IDs, want)
		}
	}
	back := strings.Join(lines[:50], "\n") + "\n"
	r = cliIn(t, back, "tokenize", "-model", "gpt2", "-jsonl", "-decode")
	first, _, _ := strings.Cut(r.out, "\n")
	if first != `{"text":"line number 0 <|endoftext|>","bytes_b64":"bGluZSBudW1iZXIgMCA8fGVuZG9mdGV4dHw+"}` {
		t.Errorf("back again: %q, %s", first, r.stderr)
	}
}

func TestTokenizeBadLines(t *testing.T) {
	good := "{\"text\":\"a\"}\n"
	for _, c := range []struct{ in, want string }{
		{good + "{\"txt\":1}\n", "line 2"},
		{good + good + "\n{", "line 4"},
		{`{"text":"a","bytes_b64":"YQ=="}`, "give one"},
		{`{"bytes_b64":"*"}`, "base64"},
	} {
		r := cliIn(t, c.in, "tokenize", "-model", "gpt2", "-jsonl")
		if r.status != statusFailed || !strings.Contains(r.stderr, c.want) || !message.MatchString(r.stderr) {
			t.Errorf("%q: exit %d, %q", c.in, r.status, r.stderr)
		}
		if want := strings.Count(c.in, good); strings.Count(r.out, "\n") != want {
			t.Errorf("%q: %d lines answered, want %d", c.in, strings.Count(r.out, "\n"), want)
		}
	}
}

// Broken UTF-8 counts as U+FFFD, once a part, and offsets are those of the bytes
// that came in; -raw keeps it.
func TestTokenizeBytes(t *testing.T) {
	raw := []byte("a\xff\xe2\x82b\xf0\x9f\x98 €")
	line := fmt.Sprintf("{\"bytes_b64\":%q}\n", base64.StdEncoding.EncodeToString(raw))
	got := decode[tokens](t, cliIn(t, line, "tokenize", "-model", "gpt2", "-jsonl").out)
	if want := tokenizer.GPT2().Encode("a\uFFFD\uFFFDb\uFFFD €"); !slices.Equal(got.IDs, want) {
		t.Errorf("ids %v, want %v", got.IDs, want)
	}
	last := 0
	for _, o := range got.Offsets {
		if o[0] > o[1] || o[0] < last-3 {
			t.Errorf("offsets %v", got.Offsets)
		}
		last = o[1]
	}
	if last != len(raw) {
		t.Errorf("offsets end at %d of %d", last, len(raw))
	}
	exact := decode[tokens](t, cliIn(t, line, "tokenize", "-model", "gpt2", "-jsonl", "-raw").out)
	if b := tokenizer.GPT2().Decode(exact.IDs); !bytes.Equal(b, raw) {
		t.Errorf("-raw gives back %q, want %q", b, raw)
	}
}

// A line is answered before the next one comes.
func TestTokenizeStreams(t *testing.T) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	go run(context.Background(), []string{"tokenize", "-model", "gpt2", "-jsonl"}, inR, outW, io.Discard)
	defer inW.Close()
	answers := bufio.NewReader(outR)
	for i := range 3 {
		fmt.Fprintf(inW, "{\"text\":\"line %d\"}\n", i)
		got := make(chan string, 1)
		go func() { s, _ := answers.ReadString('\n'); got <- s }()
		select {
		case s := <-got:
			if !strings.HasPrefix(s, `{"ids":[1370,`) {
				t.Errorf("answer %q", s)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no answer to a line")
		}
	}
}

// engineVerbs waits for an engine and returns what it can do.
func engineVerbs(t *testing.T, socket string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res, err := client.Get("http://" + "engine/state")
		if err != nil {
			continue
		}
		defer res.Body.Close()
		var s wire.State
		if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
			t.Fatal(err)
		}
		return strings.Join(s.Verbs, " ")
	}
	t.Fatal("no engine answers")
	return ""
}
