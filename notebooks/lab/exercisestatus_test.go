package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exerciseClone makes an empty folder the clone, and its folder dir the notebook's.
func exerciseClone(t *testing.T, dir string) (file string) {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLT_ROOT", root)
	t.Setenv("GONB_TMP_DIR", t.TempDir())
	t.Chdir(filepath.Join(root, dir))
	return filepath.Join(root, "out", "exercises.json")
}

func stateOf(list []Exercise, name string) Exercise {
	for _, e := range list {
		if e.Name == name {
			return e
		}
	}
	return Exercise{}
}

// The table follows a reader: not tried, wrong, solved, held in the model; a later wrong
// answer does not take away what was solved.
func TestExerciseStatus(t *testing.T) {
	exerciseClone(t, "tutorials/exercises")
	const name = "a direction through LayerNorm"
	wrong := func(d, g []float64, sigma float64) []float64 { return Times(d, 1/sigma) }
	step := func(do func(), want string) Exercise {
		t.Helper()
		shown, _ := screen(t)
		do()
		list := Exercises()
		text := (*shown)[len(*shown)-1].Plain
		if len(list) != len(exerciseList) || !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
		return stateOf(list, name)
	}
	if e := step(func() {}, "0 of 5 solved"); e.Of != 0 {
		t.Errorf("before any: %+v", e)
	}
	if e := step(func() { TryThroughLN(wrong) }, "✗ 0 of 5 cases"); e.Tries != 1 || e.Solved {
		t.Errorf("after a wrong answer: %+v", e)
	}
	if e := step(func() { TryThroughLN(ThroughLN) }, "not yet run against the model"); !e.Solved || e.Whole || e.Cases != 5 {
		t.Errorf("after a right one: %+v", e)
	}
	if e := step(Done, "1 of 5 solved"); !e.Whole {
		t.Errorf("after the last cell: %+v", e)
	}
	if e := step(func() { TryThroughLN(wrong) }, "✓ solved"); !e.Solved || e.Tries != 1 {
		t.Errorf("after another wrong answer: %+v", e)
	}
}

// A solution that runs in the folder of solutions solves nothing for the reader.
func TestSolutionsSolveNothing(t *testing.T) {
	file := exerciseClone(t, "tutorials/exercises/solutions")
	shown, _ := screen(t)
	TryThroughLN(ThroughLN)
	Done()
	if _, err := os.Stat(file); err == nil {
		t.Error("a solution left progress")
	}
	if len(*shown) != 2 {
		t.Errorf("%d outputs, want the two checks", len(*shown))
	}
}

// A function that panics is a wrong answer, said in the same line as any other.
func TestPanicIsAnAnswer(t *testing.T) {
	exerciseClone(t, "tutorials/exercises")
	shown, status := screen(t)
	TryThroughLN(func(d, _ []float64, _ float64) []float64 { return d[:len(d)+9] })
	if last := (*shown)[len(*shown)-1].Plain; *status != 1 || !strings.Contains(last, "case 1 of 5") || !strings.Contains(last, "a panic: runtime error") || !strings.Contains(last, "hint 2") {
		t.Errorf("status %d, %q", *status, last)
	}
}

// A file that is something else is said, not overwritten; the answer counts all the same.
func TestForeignProgressIsKept(t *testing.T) {
	file := exerciseClone(t, "tutorials/exercises")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	shown, status := screen(t)
	TryThroughLN(ThroughLN)
	if b, _ := os.ReadFile(file); string(b) != "precious" || *status != 0 || !strings.Contains((*shown)[0].Plain, "remove it to begin again") {
		t.Errorf("status %d, file %q, shown %v", *status, b, *shown)
	}
	if Exercises(); *status != 1 {
		t.Error("Exercises shows a table of a file that it cannot read")
	}
}

// Every exercise of the list has its notebook, and every notebook is in the list.
func TestExerciseListIsWhole(t *testing.T) {
	found, err := filepath.Glob("../../tutorials/exercises/src/*.md")
	if err != nil || len(found) != len(exerciseList) {
		t.Fatalf("%d masters, %d in the list, %v", len(found), len(exerciseList), err)
	}
	for i, e := range exerciseList {
		text, err := os.ReadFile(found[i])
		if err != nil || filepath.Base(found[i]) != e.Notebook+".md" {
			t.Errorf("%s: want %s, %v", found[i], e.Notebook, err)
		}
		if minutes := fmt.Sprintf("up to %d minutes", e.Minutes); !strings.Contains(string(text), minutes) || !strings.Contains(string(text), "lab.Try") {
			t.Errorf("%s does not say %q, or tries nothing", e.Notebook, minutes)
		}
	}
}
