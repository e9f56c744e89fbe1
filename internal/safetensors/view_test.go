package safetensors

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

// unmappable is a file system whose files are none of the operating system's.
type unmappable struct{ fs.FS }

type plainFile struct {
	fs.File
	at interface {
		ReadAt([]byte, int64) (int, error)
	}
}

func (f plainFile) ReadAt(b []byte, off int64) (int, error) { return f.at.ReadAt(b, off) }

func (u unmappable) Open(name string) (fs.File, error) {
	f, err := u.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return plainFile{f, f.(*os.File)}, nil
}

func TestViewIsWhatIsRead(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.safetensors")
	if err != nil || len(paths) == 0 {
		t.Fatal("no files", err)
	}
	// Values that stand at no multiple of their size.
	odd := filepath.Join(t.TempDir(), "odd.safetensors")
	write(t, odd, file(`{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},`+
		`"y":{"dtype":"F64","shape":[1],"data_offsets":[9,17]},"z":{"dtype":"F32","shape":[0],"data_offsets":[17,17]}}`,
		[]byte{7, 0, 0, 128, 63, 0, 0, 0, 192, 0, 0, 0, 0, 0, 0, 240, 63}))
	for _, path := range append(paths, odd) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir, name := os.DirFS(filepath.Dir(path)), filepath.Base(path)
		for kind, open := range map[string]func() (*File, error){
			"mapped":  func() (*File, error) { return Open(path) },
			"from FS": func() (*File, error) { return OpenFS(dir, name) },
			"read":    func() (*File, error) { return OpenFS(unmappable{dir}, name) },
			"memory":  func() (*File, error) { return Parse(path, data) },
		} {
			f, err := open()
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range f.Names() {
				viewEquals(t, f, kind, n)
			}
			f.Close()
		}
	}
}

func viewEquals(t *testing.T, f *File, kind, name string) {
	t.Helper()
	want, werr := f.Float32(name)
	var got []float32
	err := f.View(name, func(v []float32) error { got = slices.Clone(v); return nil })
	if (err == nil) != (werr == nil) || werr != nil && err.Error() != werr.Error() {
		t.Fatalf("%s: View of %s: %v; Float32: %v", kind, name, err, werr)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: View of %s: %v, want %v", kind, name, got, want)
	}
	want64, _ := f.Float64(name)
	var got64 []float64
	_ = f.View64(name, func(v []float64) error { got64 = slices.Clone(v); return nil })
	if !slices.Equal(got64, want64) {
		t.Errorf("%s: View64 of %s: %v, want %v", kind, name, got64, want64)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// large writes a file with one tensor of n values, all 1.
func large(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "large.safetensors")
	if err := WriteFile(path, nil, F32("w", []int{n}, slices.Repeat([]float32{1}, n))); err != nil {
		t.Fatal(err)
	}
	return path
}

func needsMapping(t *testing.T, f *File) {
	t.Helper()
	info, _ := f.Info("w")
	m := f.mapTensor(info)
	if m == nil {
		if runtime.GOOS == "linux" {
			t.Fatal("the file is not mapped")
		}
		testenv.Skip(t, "files cannot be mapped here: they are read; run on Linux")
	}
	m.unmap()
}

func TestViewDoesNotCopy(t *testing.T) {
	const n = 8 << 20
	f, err := Open(large(t, n))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	needsMapping(t, f)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sum := float32(0)
	if err := f.View("w", func(v []float32) error {
		for _, x := range v {
			sum += x
		}
		return nil
	}); err != nil || sum != n {
		t.Fatal(sum, err)
	}
	runtime.ReadMemStats(&after)
	if b := after.TotalAlloc - before.TotalAlloc; b > 64<<10 {
		t.Errorf("%d bytes allocated for a view of %d", b, 4*n)
	}
}

// A file that is cut off, or written to, while its pages are in memory is an error
// and not the end of the process.
func TestFileChangesUnderView(t *testing.T) {
	const n = 1 << 20
	last := func(v []float32) error {
		if v[n-1] == 2 {
			return errors.New("a value of two")
		}
		return nil
	}
	for name, c := range map[string]struct {
		change func(path string) error
		want   string
	}{
		"cut to a quarter":  {func(p string) error { return os.Truncate(p, n) }, "had 4194384 bytes when it was opened and has 1048576 now"},
		"cut by a byte":     {func(p string) error { return os.Truncate(p, 4*n+79) }, "had 4194384 bytes when it was opened and has 4194383 now"},
		"emptied":           {func(p string) error { return os.Truncate(p, 0) }, "has 0 now"},
		"overwritten":       {func(p string) error { return os.Chtimes(p, time.Time{}, time.Now().Add(time.Hour)) }, "was written to"},
		"replaced by a new": {func(p string) error { return os.Remove(p) }, ""},
	} {
		path := large(t, n)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		needsMapping(t, f)
		err = f.View("w", func(v []float32) error {
			if err := c.change(path); err != nil {
				t.Fatal(err)
			}
			return last(v)
		})
		if (c.want == "") != (err == nil) || err != nil && !(strings.Contains(err.Error(), c.want) && strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		// The next read is an error as well, whether it is mapped or not.
		if err := f.View("w", last); c.want != "" && err == nil {
			t.Errorf("%s: no error afterwards", name)
		}
		f.Close()
		if err := f.View("w", last); err == nil {
			t.Errorf("%s: a view of a closed file", name)
		}
	}
}

func TestViewPassesOn(t *testing.T) {
	f, err := Open(large(t, 10))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mine := errors.New("mine")
	if err := f.View("w", func([]float32) error { return mine }); err != mine {
		t.Errorf("error %v, want the caller's", err)
	}
	for name, panics := range map[string]func(v []float32){
		"value":   func([]float32) { panic("mine") },
		"index":   func(v []float32) { _ = v[len(v)] },
		"nothing": func([]float32) { var p *int; *p = 1 },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the panic was swallowed", name)
				}
			}()
			_ = f.View("w", func(v []float32) error { panics(v); return nil })
		}()
	}
}
