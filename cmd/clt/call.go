package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// Exit statuses.
const (
	statusFailed      = 1
	statusUsage       = 2
	statusInterrupted = 130
)

// call is one run of a verb.
type call struct {
	ctx   context.Context
	verb  string
	in    io.Reader
	out   *bufio.Writer // writes to stdout
	err   io.Writer
	args  []string        // what is no flag
	given map[string]bool // flags that stand on the command line
	svc   *engine.Service
	bar   *bar
	saved string // what an interrupt leaves, for people

	stdout io.Writer
}

// usageError is a call that was wrong: exit status 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// badCall makes a usageError.
func badCall(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// service is the engine of this process, opened on first use.
func (c *call) service() *engine.Service {
	if c.svc == nil {
		c.svc = engine.New()
		c.svc.Log = func(line string) { c.remark("%s", line) }
	}
	return c.svc
}

// printf writes to stdout; a failed write shows at the end.
func (c *call) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// remark is a line for people on stderr.
func (c *call) remark(format string, args ...any) {
	c.bar.clear()
	fmt.Fprintf(c.err, "clt %s: %s\n", c.verb, viz.Visible(fmt.Sprintf(format, args...)))
}

// warn shows what people should know before they trust a result.
func (c *call) warn(list []string) {
	for _, w := range list {
		c.remark("WARNING: %s", w)
	}
}

// json writes one value to stdout.
func (c *call) json(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("result as JSON: %w", err)
	}
	return nil
}

// finish closes what is open, reports the error in one line and returns the exit
// status.
func (c *call) finish(err error) int {
	c.bar.clear()
	if c.svc != nil {
		if cerr := c.svc.Close(); cerr != nil && err == nil {
			err = cerr
		}
	}
	if ferr := c.out.Flush(); ferr != nil && (err == nil || errors.Is(err, ferr)) {
		err = fmt.Errorf("stdout: %w", ferr)
	}
	if err == nil {
		return 0
	}
	if c.ctx.Err() != nil {
		saved := c.saved
		if saved == "" {
			saved = "nothing was written"
		}
		fmt.Fprintf(c.err, "clt %s: interrupted; %s\n", c.verb, saved)
		return statusInterrupted
	}
	status := statusFailed
	var bad usageError
	var asked *replacement.RequestError
	if errors.As(err, &bad) || errors.As(err, &asked) || errors.Is(err, fs.ErrNotExist) {
		status = statusUsage
	}
	fmt.Fprintf(c.err, "clt %s: %s\n", c.verb, c.sentence(err))
	return status
}

// sentence is an error as "what; what to do", in one line.
func (c *call) sentence(err error) string {
	text := strings.TrimPrefix(err.Error(), "engine: ")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	text = viz.Visible(text) // names in files are other people's text: none shall move the cursor
	if strings.Contains(text, "; ") {
		return text
	}
	cure := "see clt " + c.verb + " -h"
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		cure = "free some space, or write elsewhere"
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		cure = "write where you may, or change the permissions"
	case errors.Is(err, fs.ErrNotExist):
		cure = "check the path"
	case errors.Is(err, io.ErrUnexpectedEOF):
		cure = "the file is cut off; make or fetch it again"
	}
	return text + "; " + cure
}

// output checks, before the work is done, that a result can be written there:
// devices and folders are refused, because files are replaced by renaming.
func output(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return badCall("-o %s is not a file; give the name of a file", path)
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return badCall("-o %s: %s is not a folder; give another name", path, dir)
		}
		if err == nil || dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// outputDir is output for a verb that writes a folder.
func outputDir(path string) error {
	if path == "" {
		return badCall("-o is missing; name the folder that is written")
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return badCall("-o %s is a file; name a folder", path)
	}
	return nil
}

// write writes a result to a file, or to stdout if path is "" or "-".
func (c *call) write(path string, data []byte) error {
	if path == "" || path == "-" {
		_, err := c.out.Write(data)
		return err
	}
	if err := atomicfile.Write(path, data); err != nil {
		return err
	}
	c.remark("wrote %s (%s)", path, size(len(data)))
	return nil
}

func size(n int) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
