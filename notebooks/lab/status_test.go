package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A kernel that shares has the engine that programs of the clone have, and no longer the
// one in its own folder.
func TestShare(t *testing.T) {
	kernel(t)
	dir := os.Getenv("GONB_TMP_DIR")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLT_ROOT", root)
	place := func() place {
		t.Helper()
		p, err := findPlace()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := place(); filepath.Dir(p.socket) != dir || p.watch != os.Getppid() {
		t.Errorf("before: %+v", p)
	}
	Share()
	shared := place()
	if filepath.Dir(shared.socket) == dir || shared.watch != 0 {
		t.Errorf("after Share: %+v", shared)
	}
	if err := os.Remove(filepath.Join(dir, sharedMark)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLT_SHARE", "1")
	if p := place(); p != shared {
		t.Errorf("with CLT_SHARE: %+v, want %+v", p, shared)
	}
	t.Setenv("GONB_TMP_DIR", "")
	if p := place(); p != shared {
		t.Errorf("outside a notebook: %+v, want %+v", p, shared)
	}
	if o := (&EngineStatus{shared: true}).Output(); !strings.Contains(o.Plain, "engine of this clone") {
		t.Errorf("status: %s", o.Plain)
	}
}

// Check writes floats short, and leaves the caller's values alone.
func TestCheckKeepsItsDetail(t *testing.T) {
	kernel(t)
	shown, _ := screen(t)
	detail := []any{1.0 / 3, " of ", 3}
	Check(true, "x", detail...)
	if detail[0] != 1.0/3 {
		t.Errorf("the caller's detail became %v", detail)
	}
	if len(*shown) != 1 || !strings.Contains((*shown)[0].Plain, "0.3333 of 3") {
		t.Errorf("shown %v", *shown)
	}
}

// A line that quotes a prompt stays a line: its beginning and its cure are there.
func TestLongLinesAreShortened(t *testing.T) {
	kernel(t)
	shown, status := screen(t)
	long := strings.Repeat("é", 1_000_000)
	fail("run", errors.New("lab: the prompt "+long+" is too long; shorten it"))
	Check(true, "x"+long, long+"y")
	Check(false, "x"+long, long+"y")
	for _, o := range *shown {
		if len(o.HTML) > 8000 || len(o.Plain) > 4000 {
			t.Errorf("%d bytes of HTML, %d of text", len(o.HTML), len(o.Plain))
		}
	}
	first := (*shown)[0].Plain
	if *status == 0 || !strings.HasPrefix(first, "✗ run: the prompt éé") && !strings.HasPrefix(first, "✗ the prompt éé") || !strings.HasSuffix(first, "é is too long; shorten it") {
		t.Errorf("status %d, %.60s … %s", *status, first, first[len(first)-60:])
	}
	if brief("short") != "short" || brief(strings.Repeat("é", longest)) != strings.Repeat("é", longest) {
		t.Error("a short line was shortened")
	}
}

// Showing nothing says so.
func TestShowNil(t *testing.T) {
	kernel(t)
	shown, status := screen(t)
	var g *Graph
	Show(nil, g)
	if *status != 0 || len(*shown) != 2 || (*shown)[0].Plain != "nil" || !strings.Contains((*shown)[1].Plain, "*lab.Graph is nil") {
		t.Errorf("status %d, %v", *status, *shown)
	}
}

// What the engine says for the command line, a cell says in its own words.
func TestCuresForCells(t *testing.T) {
	if got := forCells.Replace("name another folder, or train anew with -fresh"); got != "name another folder, or train anew with Fresh: true" {
		t.Errorf("%q", got)
	}
}

// What is nothing is said in one line, before any engine is asked.
func TestNothingGiven(t *testing.T) {
	for want, call := range map[string]func(){
		"the other graph is nil; ":                               func() { (&Graph{}).Compare(nil) },
		"the other session is nil; ":                             func() { (*Session)(nil).Compare() },
		"there is no edit, so nothing would change; ":            func() { (&Session{}).Intervene("x", nil) },
		"no edit, so nothing":                                    func() { (&Session{}).WhatIf("x", nil) },
		"2 numbers in \" %d plus\"; give a text with two places": func() { (&Session{}).Operands(" %d plus", 2) },
		"this session is nil: variables end with their cell; ":   func() { (*Session)(nil).on() },
		"this graph is nil: variables end with their cell; ":     func() { (*Graph)(nil).Prune() },
		"the file has no name; ":                                 func() { (&Graph{}).Export("") },
		"there is no layer 9; layers go from 0 to -1":            func() { (&Reconstruction{}).Share(9, 0) },
		"give Intervene the option lab.Keep()":                   func() { named("effect", nil, "logits") },
	} {
		shown, status := screen(t)
		if call(); *status != 1 || len(*shown) != 1 || !strings.Contains((*shown)[0].Plain, want) {
			t.Errorf("status %d, %v; want %q", *status, *shown, want)
		}
	}
}
