package engine

import (
	"context"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// modulePath is the first line of the clone's go.mod.
const modulePath = "github.com/etredal/cross-layer-transcoder"

// Root is the clone that this program works in: CLT_ROOT, the folder above the
// program's, or the nearest folder above the working directory that holds this
// module; "" if there is none.
func Root() string {
	var start []string
	if r := os.Getenv("CLT_ROOT"); r != "" {
		start = append(start, r)
	}
	if exe, err := os.Executable(); err == nil {
		start = append(start, filepath.Dir(exe))
	}
	if dir, err := os.Getwd(); err == nil {
		start = append(start, dir)
	}
	for _, dir := range start {
		for d := dir; ; d = filepath.Dir(d) {
			if b, err := os.ReadFile(filepath.Join(d, "go.mod")); err == nil && strings.HasPrefix(string(b), "module "+modulePath+"\n") {
				return d
			}
			if d == filepath.Dir(d) {
				break
			}
		}
	}
	return ""
}

// notebookChecks look at the set-up of notebooks inside the clone.
func notebookChecks(ctx context.Context) []wire.Check {
	const cure = "run make setup in the clone"
	root := Root()
	if root == "" {
		return []wire.Check{check("clone", checkWarn, "not inside one: notebooks are set up there", "work inside the clone, or set CLT_ROOT to it"), browserCheck()}
	}
	venv := filepath.Join(root, ".venv")
	list := []wire.Check{check("clone", checkOK, root, ""), pythonCheck(ctx, venv)}
	lab := packageVersion(venv, "jupyterlab")
	list = append(list, check("jupyterlab", okOr(lab != "", checkWarn), orNone(lab), cure))
	for _, tool := range []struct{ name, module string }{{"gonb", "github.com/janpfeifer/gonb"}, {"goimports", "golang.org/x/tools"}} {
		v := toolVersion(filepath.Join(venv, "bin", tool.name), tool.module)
		list = append(list, check(tool.name, okOr(v != "", checkWarn), orNone(v), cure))
	}
	spec := filepath.Join(venv, "share", "jupyter", "kernels", "gonb")
	_, err := os.Stat(filepath.Join(spec, "kernel.json"))
	detail := "linked into the environment"
	if err != nil {
		detail = "not linked into the environment"
	}
	return append(list, check("kernel spec", okOr(err == nil, checkWarn), detail, cure), browserCheck())
}

// pythonCheck finds the clone's environment, or the Python that could make it.
func pythonCheck(ctx context.Context, venv string) wire.Check {
	python := filepath.Join(venv, "bin", "python")
	if v := firstOutput(ctx, python, "--version"); v != "" {
		return check("python", checkOK, v+" in .venv", "")
	}
	if path, err := exec.LookPath("python3"); err == nil {
		return check("python", checkWarn, firstOutput(ctx, path, "--version")+", no environment in the clone", "run make setup")
	}
	return check("python", checkWarn, "not found: notebooks need it, the command line does not", "install Python 3.11 or newer with venv, then make setup")
}

// packageVersion reads the version of an installed Python package from the name
// of its folder.
func packageVersion(venv, name string) string {
	found, _ := filepath.Glob(filepath.Join(venv, "lib", "python3*", "site-packages", name+"-*.dist-info"))
	if len(found) == 0 {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[len(found)-1]), name+"-"), ".dist-info")
}

// toolVersion reads from a Go program which version of its module it is.
func toolVersion(path, module string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return "built from another module"
}

// browserCheck looks for the program that draws PNGs and runs browser tests.
func browserCheck() wire.Check {
	b := FindChromium()
	return check("chromium", okOr(b != "", checkWarn), orNone(b), "apt-get install chromium, or set CLT_CHROMIUM; only PNG pictures need it")
}

// FindChromium is the path of a Chromium, "" if there is none.
func FindChromium() string {
	for _, name := range []string{os.Getenv("CLT_CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if name == "" {
			continue
		}
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}
