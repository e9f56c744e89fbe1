package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/notebook"
	"github.com/etredal/cross-layer-transcoder/viz"
)

var lessonNumber = regexp.MustCompile(`^\d\d?$`)

// byNumber is the path of a tutorial that is called by its number, such as 06; other
// names stay.
func byNumber(name string) string {
	if !lessonNumber.MatchString(name) {
		return name
	}
	if len(name) == 1 {
		name = "0" + name
	}
	found, _ := filepath.Glob(filepath.Join(engine.Root(), "tutorials", name+"-*.ipynb"))
	if len(found) == 1 {
		return found[0]
	}
	return filepath.Join("tutorials", name+"-*.ipynb")
}

// hasJupyter says whether the clone was set up for notebooks.
func hasJupyter() bool {
	_, err := os.Stat(filepath.Join(engine.Root(), ".venv", "bin", "python"))
	return err == nil
}

// hasConverter says whether the clone can make pages of notebooks with Jupyter's own
// converter.
func hasConverter() bool {
	found, _ := filepath.Glob(filepath.Join(engine.Root(), ".venv", "lib", "python3*", "site-packages", "nbconvert"))
	return hasJupyter() && engine.Root() != "" && len(found) > 0
}

// plainReport writes a notebook, outputs as saved, as one page with Go alone.
func (c *call) plainReport(path, out string, noInput bool) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n, err := notebook.Parse(filepath.Base(path), data)
	if err != nil {
		return err
	}
	p := provenance()
	p.Command = "clt report " + viz.ShellWord(filepath.Base(path))
	p.Extra = map[string]string{"notebook": filepath.Base(path), "notebook_sha256": fmt.Sprintf("%x", sha256.Sum256(data))}
	page, err := n.Page(notebook.PageOptions{PageOptions: viz.PageOptions{Provenance: p}, NoInput: noInput})
	if err != nil {
		return err
	}
	return c.write(out, page)
}

// runPlain executes notebooks with Go alone. Copies go to out/nb, pages to out.
func (c *call) runPlain(files []string, inPlace, page bool) error {
	root := engine.Root()
	if root == "" {
		return errors.New("this is not inside a clone, whose packages the cells import; go to the clone, or set CLT_ROOT to it")
	}
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("there is no go command, which compiles the cells; install Go")
	}
	for _, name := range files {
		if err := c.runPlainOne(root, name, inPlace, page); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) runPlainOne(root, name string, inPlace, page bool) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	n, err := notebook.Parse(filepath.Base(name), data)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return err
	}
	out := filepath.Join(root, "out", "nb", filepath.Base(name))
	if inPlace {
		out = name
	}
	failed := n.Run(c.ctx, notebook.RunOptions{Root: root, Dir: dir}, func(cell, of int) {
		c.remark("%s: cell %d of %d", filepath.Base(name), cell, of)
	})
	if failed != nil && inPlace {
		return failed // the notebook stays as it was
	}
	n.Clean(false)
	if err := atomicfile.Write(out, n.Bytes()); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("%w; the outputs so far are in out/nb/%s", failed, filepath.Base(name))
	}
	c.printf("%s: executed\n", filepath.Base(name))
	if !page {
		return nil
	}
	p := provenance()
	p.Command = "clt nb run -plain -report " + viz.ShellWord(filepath.Base(name))
	html, err := n.Page(notebook.PageOptions{PageOptions: viz.PageOptions{Provenance: p}, Trusted: true})
	if err != nil {
		return err
	}
	base := filepath.Base(name)
	return c.write(filepath.Join(root, "out", base[:len(base)-len(filepath.Ext(base))]+".html"), html)
}
