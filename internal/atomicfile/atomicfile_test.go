package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteReplacesAndLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "a.bin")
	for _, text := range []string{"one", "two, longer", ""} {
		if err := Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != text {
			t.Fatalf("read %q, want %q", got, text)
		}
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Fatalf("left behind: %v", got)
	}
	direct := filepath.Join(dir, "direct")
	if err := os.WriteFile(direct, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want, _ := os.Stat(direct)
	if got, _ := os.Stat(path); got.Mode() != want.Mode() {
		t.Fatalf("mode %v, an ordinary new file has %v", got.Mode(), want.Mode())
	}
}

func TestAbortKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("half")
	f.Abort()
	f.Abort()
	if err := f.Commit(); err == nil {
		t.Fatal("commit after abort succeeded")
	}
	if got := content(t, path); got != "old" {
		t.Fatalf("read %q", got)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Fatalf("left behind: %v", got)
	}
}

func TestTwoWritersAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	a, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	a.WriteString("a")
	b.WriteString("b")
	if err := errors.Join(a.Commit(), b.Commit()); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "b" {
		t.Fatalf("read %q, want the last commit", got)
	}
}

func TestWriteThroughSymlink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	os.WriteFile(real, []byte("old"), 0o644)
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := Write(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Lstat(link); info.Mode()&os.ModeSymlink == 0 {
		t.Fatal("the link was replaced by a file")
	}
	if got := content(t, real); got != "new" {
		t.Fatalf("read %q", got)
	}
}

func TestWriteDir(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	put := func(name string) func(string) error {
		return func(tmp string) error { return os.WriteFile(filepath.Join(tmp, name), []byte(name), 0o644) }
	}
	if err := WriteDir(dir, put("first")); err != nil {
		t.Fatal(err)
	}
	if err := WriteDir(dir, put("second")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 1 || got[0] != "second" {
		t.Fatalf("folder holds %v", got)
	}
	boom := errors.New("boom")
	err := WriteDir(dir, func(tmp string) error { put("third")(tmp); return boom })
	if !errors.Is(err, boom) {
		t.Fatalf("error %v", err)
	}
	if got := names(t, dir); len(got) != 1 || got[0] != "second" {
		t.Fatalf("after a failure the folder holds %v", got)
	}
	if got := names(t, parent); len(got) != 1 {
		t.Fatalf("left behind: %v", got)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, nil); err == nil {
		t.Error("wrote a file over a folder")
	}
	file := filepath.Join(dir, "f")
	os.WriteFile(file, nil, 0o644)
	if err := WriteDir(file, func(string) error { return nil }); err == nil {
		t.Error("wrote a folder over a file")
	}
	if err := Write(filepath.Join(file, "below"), nil); err == nil {
		t.Error("wrote below a file")
	}
}
