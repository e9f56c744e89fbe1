package lab

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

const (
	modulePath = "github.com/etredal/cross-layer-transcoder"
	startLimit = 30 * time.Second
	idleLimit  = 30 * time.Minute
)

// place is where the engine of this process lives.
type place struct {
	root   string // the clone
	socket string
	log    string // what the engine writes to stderr
	watch  int    // the process the engine ends with; 0: none
}

// findPlace looks at the environment: inside a notebook there is one engine for each kernel, in the kernel's private
// folder; elsewhere, and in kernels that share, there is one for each clone, in a private folder of the user.
func findPlace() (place, error) {
	root, err := findRoot()
	if err != nil {
		return place{}, err
	}
	if !isClone(root) {
		return place{}, fmt.Errorf("lab: CLT_ROOT is %q, but no clone of this repository is there; if it was moved, run make lab in its new place, otherwise set CLT_ROOT to it", root)
	}
	p := place{root: root}
	dir, name := os.Getenv("GONB_TMP_DIR"), "engine"
	if dir != "" && !shares(dir) {
		p.watch = os.Getppid() // a cell is a child of the kernel
	} else {
		h := fnv.New32a()
		h.Write([]byte(root))
		dir, name = filepath.Join(os.TempDir(), fmt.Sprintf("clt-%d", os.Getuid())), fmt.Sprintf("engine-%08x", h.Sum32())
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return place{}, fmt.Errorf("lab: folder for the engine: %w; set TMPDIR to a folder you can write to", err)
		}
	}
	p.socket, p.log = filepath.Join(dir, name+".sock"), filepath.Join(dir, name+".log")
	return p, nil
}

// findRoot is CLT_ROOT, or the nearest folder above the working directory that holds this module.
func findRoot() (string, error) {
	if root := os.Getenv("CLT_ROOT"); root != "" {
		return root, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("lab: working directory: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if isClone(d) {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("lab: %s is not inside a clone of this repository; set CLT_ROOT to the clone", dir)
		}
	}
}

// isClone says whether a folder is the root of a clone.
func isClone(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && strings.HasPrefix(string(b), "module "+modulePath+"\n")
}

// program is the file that runs as engine.
func (p place) program() string {
	if own := os.Getenv("CLT_ENGINE"); own != "" {
		return own
	}
	return filepath.Join(p.root, "bin", "clt")
}

// outdated says whether a source of the program is newer than it, or the program is missing. A walk over some hundred files
// takes 3 to 6 ms, a go build that finds nothing to do half a second.
func (p place) outdated() bool {
	if os.Getenv("CLT_ENGINE") != "" {
		return false
	}
	built, err := os.Stat(p.program())
	if err != nil {
		return true
	}
	newer := errors.New("newer")
	for _, dir := range []string{"cmd", "clt", "gpt2", "viz", "internal", "go.mod", "go.sum"} {
		err := filepath.WalkDir(filepath.Join(p.root, dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || strings.HasSuffix(path, "_test.go"):
				return nil
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case d.IsDir():
				return nil
			}
			if info, err := d.Info(); err == nil && info.ModTime().After(built.ModTime()) {
				return newer
			}
			return nil
		})
		if err != nil {
			return true
		}
	}
	return false
}

// build makes bin/clt. The kernel's own build flags are for cells.
func (p place) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.root, "scripts", "build.sh"))
	cmd.Dir = p.root
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return &wire.Error{Message: "lab: the engine does not build: " + lastLine(string(out)), Cure: "run make build to see everything"}
	}
	return nil
}

// start runs the engine detached from the cell: in a session of its own, without the cell's pipes, writing to a file.
func (p place) start() (exited <-chan error, err error) {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab: log of the engine: %w; is the disk full?", err)
	}
	defer log.Close()
	cmd := exec.Command(p.program(), "engine", "-socket", p.socket, "-watch", fmt.Sprint(p.watch), "-idle", idleLimit.String())
	cmd.Dir = p.root
	cmd.Env = cleanEnvironment(os.Environ(), p.root)
	cmd.Stdout, cmd.Stderr = log, log // never the cell's: a cell ends when its outputs are closed
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("lab: start the engine: %w; run make build", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	return done, nil
}

// cleanEnvironment drops what belongs to the cell: its pipes die with it, its build flags are not the engine's.
func cleanEnvironment(env []string, root string) []string {
	var kept []string
	for _, e := range env {
		if strings.HasPrefix(e, "GONB_") || strings.HasPrefix(e, "GOFLAGS=") || strings.HasPrefix(e, "CLT_ROOT=") {
			continue
		}
		kept = append(kept, e)
	}
	return append(kept, "CLT_ROOT="+root)
}

// lastWords is the last line of the engine's log that says something.
func (p place) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return lastLine(string(b))
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
