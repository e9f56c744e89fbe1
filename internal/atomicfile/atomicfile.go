// Package atomicfile writes files and folders that are either whole or absent: the data goes to a temporary name in
// the same folder, is synced, and is renamed over the target at the end. A crash or a full disk leaves the old file.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the file at path by data (mode 0644 less the umask), atomically.
func Write(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("atomicfile: write %s: %w; is the disk full?", path, err)
	}
	return f.Commit()
}

// File is a file being written. It ends with Commit or Abort; `defer f.Abort()` right after Create is safe, because
// Abort after Commit does nothing.
type File struct {
	*os.File
	path string
	done bool
}

// Create opens a temporary file beside path. Missing parent folders are made.
func Create(path string) (*File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("atomicfile: create %s: it is a folder; choose a file name", path)
	}
	// A rename replaces a symbolic link itself; write to what it points at instead.
	target := path
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		target = resolved
	}
	dir := filepath.Dir(target)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("atomicfile: create %s: %w; is the folder writable?", path, err)
	}
	f, err := createTemp(dir, "."+filepath.Base(target)+".")
	if err != nil {
		return nil, fmt.Errorf("atomicfile: create %s: %w; is the folder writable?", path, err)
	}
	return &File{File: f, path: target}, nil
}

// createTemp is os.CreateTemp with the ordinary mode of a new file (0666 less the umask, not 0600), so that the file
// under its final name can be read by whoever could read one written directly.
func createTemp(dir, prefix string) (*os.File, error) {
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf("%s%d-%d.tmp", prefix, os.Getpid(), try))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) || try > 10000 {
			return f, err
		}
	}
}

// Path returns the final name.
func (f *File) Path() string { return f.path }

// Commit syncs the data and gives the file its final name. On an error the temporary file is removed and the old
// file is untouched.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("atomicfile: commit %s: already committed or aborted", f.path)
	}
	f.done = true
	err := f.Sync()
	if e := f.File.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("atomicfile: commit %s: %w; is the disk full?", f.path, err)
	}
	syncDir(filepath.Dir(f.path))
	return nil
}

// Abort closes and removes the temporary file. It does nothing after Commit.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.File.Close()
	os.Remove(f.Name())
}

// Close is Abort: a file that was not committed leaves nothing behind.
func (f *File) Close() error {
	f.Abort()
	return nil
}

// WriteDir fills the folder dir through fill, which gets an empty temporary folder beside it. When fill succeeds the
// temporary folder takes the place of dir; an older dir is moved aside first and removed after, and put back when the
// exchange fails. Between the two renames, for an instant, dir does not exist; it never exists half written.
func WriteDir(dir string, fill func(tmp string) error) error {
	dir = filepath.Clean(dir)
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("atomicfile: write folder %s: %w; is the parent writable?", dir, err)
	}
	old, err := os.Lstat(dir)
	if err == nil && !old.IsDir() {
		return fmt.Errorf("atomicfile: write folder %s: a file of that name exists; remove it or choose another name", dir)
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".*.tmp")
	if err != nil {
		return fmt.Errorf("atomicfile: write folder %s: %w; is the parent writable?", dir, err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("atomicfile: write folder %s: %w", dir, err)
	}
	if err := fill(tmp); err != nil {
		return err
	}
	if err := syncTree(tmp); err != nil {
		return fmt.Errorf("atomicfile: write folder %s: %w; is the disk full?", dir, err)
	}
	return swapDir(tmp, dir, old != nil)
}

// swapDir gives tmp the name dir, moving an old dir aside and back when needed.
func swapDir(tmp, dir string, exists bool) error {
	aside := tmp + ".old"
	if exists {
		if err := os.Rename(dir, aside); err != nil {
			return fmt.Errorf("atomicfile: write folder %s: %w; is it in use?", dir, err)
		}
	}
	if err := os.Rename(tmp, dir); err != nil {
		if exists {
			os.Rename(aside, dir)
		}
		return fmt.Errorf("atomicfile: write folder %s: %w; is it in use?", dir, err)
	}
	syncDir(filepath.Dir(dir))
	if exists {
		os.RemoveAll(aside)
	}
	return nil
}

// syncTree flushes every regular file below root.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}

// syncDir makes a rename durable where the system allows syncing a folder; elsewhere it does nothing.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
