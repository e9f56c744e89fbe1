package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/etredal/cross-layer-transcoder/internal/engine"
)

// notebookScript runs scripts/notebook.py of the clone in the clone's own Python.
func (c *call) notebookScript(args ...string) error {
	root := engine.Root()
	if root == "" {
		return errors.New("this is not inside a clone, where Jupyter is set up; go to the clone, or set CLT_ROOT to it")
	}
	python := filepath.Join(root, ".venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		return errors.New("no Jupyter in this clone; run make setup")
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	var last bytes.Buffer
	cmd := exec.CommandContext(c.ctx, python, append([]string{filepath.Join(root, "scripts", "notebook.py")}, args...)...)
	cmd.Stdout, cmd.Stderr = c.out, &last
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(last.String()), "\n")
		text := strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "notebook: ")
		if text == "" {
			text = err.Error()
		}
		return fmt.Errorf("%s; see the cells above, or open the notebook", strings.TrimRight(text, ";"))
	}
	return nil
}

// sourceDate is the time of SOURCE_DATE_EPOCH, "" without it: the clock stays out
// of files, so that equal input gives equal bytes.
func sourceDate() string {
	s, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return ""
	}
	return time.Unix(s, 0).UTC().Format(time.RFC3339)
}
