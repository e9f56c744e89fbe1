package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/etredal/cross-layer-transcoder"

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath, Dir string
	Standard        bool
	GoFiles         []string
	CgoFiles        []string
	Imports         []string
	Deps            []string
	TestImports     []string
}

// room is the path inside the module, "" for the packages of others: "clt/attribution".
func room(path string) string {
	r, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return r
}

func inside(room, parent string) bool { return room == parent || strings.HasPrefix(room, parent+"/") }

var listed []pkg

// packages lists every package of the module.
func packages(t *testing.T) []pkg {
	t.Helper()
	if listed != nil {
		return listed
	}
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Standard,GoFiles,CgoFiles,Imports,Deps,TestImports", "./...")
	cmd.Dir = moduleRoot(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 5 {
		t.Fatalf("go list found %d packages", len(list))
	}
	listed = list
	return list
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
}

func isGoMLX(path string) bool { return strings.HasPrefix(path, "github.com/gomlx/") }

// isBackend says whether importing the package links a GoMLX backend.
func isBackend(path string) bool {
	return path == "github.com/gomlx/compute/gobackend" || strings.HasPrefix(path, "github.com/gomlx/compute/gobackend/") ||
		strings.HasPrefix(path, "github.com/gomlx/go-xla") || strings.HasPrefix(path, "github.com/gomlx/gomlx/backends") ||
		strings.HasPrefix(path, "github.com/gomlx/gopjrt")
}

// rule is one wall: packages in the room must not have what bad says, directly or (deep) through others.
type rule struct {
	name string
	in   func(room string) bool
	deep bool
	bad  func(path, room string) bool // room is "" for packages of others
}

func only(parent string) func(string) bool {
	return func(room string) bool { return inside(room, parent) }
}
func except(parents ...string) func(string) bool {
	return func(room string) bool {
		for _, p := range parents {
			if inside(room, p) {
				return false
			}
		}
		return true
	}
}

var rules = []rule{
	{"attribution imports the standard library alone", func(r string) bool { return r == "clt/attribution" }, true,
		func(path, _ string) bool { return strings.Contains(path, ".") }},
	{"viz knows attribution and no GoMLX", only("viz"), true,
		func(path, room string) bool {
			return isGoMLX(path) || room != "" && !inside(room, "viz") && room != "clt/attribution"
		}},
	{"gpt2 knows nothing of features", only("gpt2"), true,
		func(_, room string) bool { return inside(room, "clt") || inside(room, "viz") }},
	{"clt knows no graphs", func(r string) bool {
		return inside(r, "clt") && r != "clt/attribution" && !inside(r, "clt/replacement")
	}, true,
		func(_, room string) bool {
			return room == "clt/attribution" || inside(room, "clt/replacement") || inside(room, "viz")
		}},
	{"replacement draws nothing", only("clt/replacement"), true,
		func(_, room string) bool { return inside(room, "viz") }},
	{"the tokenizer needs no model", func(r string) bool { return r == "gpt2/tokenizer" }, true,
		func(path, _ string) bool { return isGoMLX(path) }},
	{"texts and maps know no model", func(r string) bool { return r == "internal/corpus" || r == "internal/embed" }, true,
		func(path, room string) bool { return isGoMLX(path) || inside(room, "gpt2") || inside(room, "clt") }},
	{"only internal/backend imports GoMLX backends", except("internal/backend"), false,
		func(path, _ string) bool { return isBackend(path) }},
	{"lab pulls in no GoMLX", only("notebooks"), true,
		func(path, _ string) bool { return isGoMLX(path) }},
	{"lab knows the engine by its wire alone", only("notebooks"), true,
		func(_, room string) bool { return inside(room, "internal/engine") && room != "internal/engine/wire" }},
	{"only lab imports GoNB", except("notebooks"), true,
		func(path, _ string) bool { return strings.HasPrefix(path, "github.com/janpfeifer/gonb") }},
	{"nothing imports cmd, notebooks or tutorials", func(string) bool { return true }, false,
		func(_, room string) bool {
			return inside(room, "cmd") || inside(room, "notebooks") || inside(room, "tutorials")
		}},
	{"libraries do not know the engine", except("internal/engine", "cmd", "notebooks"), true,
		func(_, room string) bool { return inside(room, "internal/engine") }},
	{"the server knows no model", func(r string) bool { return r == "internal/engine/server" || r == "internal/engine/wire" }, true,
		func(path, room string) bool { return isGoMLX(path) || inside(room, "gpt2") || inside(room, "clt") }},
}

func TestLayers(t *testing.T) {
	list := packages(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, p := range list {
				from := room(p.ImportPath)
				if !r.in(from) {
					continue
				}
				deps := p.Imports
				if r.deep {
					deps = p.Deps
				}
				for _, d := range deps {
					to := room(d)
					if r.bad(d, to) {
						t.Errorf("%s imports %s%s", from, d, through(list, p, d))
					}
				}
			}
		})
	}
}

// through names the direct import by which a deep one comes in.
func through(list []pkg, p pkg, dep string) string {
	for _, i := range p.Imports {
		if i == dep {
			return ""
		}
	}
	for _, i := range p.Imports {
		for _, q := range list {
			if q.ImportPath != i {
				continue
			}
			for _, d := range q.Deps {
				if d == dep {
					return " through " + i
				}
			}
		}
	}
	return ""
}

// A rule that cannot fail is worth nothing: each finds a planted violation.
func TestRulesCanFail(t *testing.T) {
	planted := map[string]pkg{
		"attribution imports the standard library alone": {ImportPath: "clt/attribution", Deps: []string{"github.com/x/y"}},
		"viz knows attribution and no GoMLX":             {ImportPath: "viz", Deps: []string{module + "/gpt2"}},
		"gpt2 knows nothing of features":                 {ImportPath: "gpt2/pocket", Deps: []string{module + "/clt"}},
		"clt knows no graphs":                            {ImportPath: "clt/convert", Deps: []string{module + "/clt/attribution"}},
		"replacement draws nothing":                      {ImportPath: "clt/replacement", Deps: []string{module + "/viz"}},
		"texts and maps know no model":                   {ImportPath: "internal/corpus", Deps: []string{module + "/gpt2/tokenizer"}},
		"the tokenizer needs no model":                   {ImportPath: "gpt2/tokenizer", Deps: []string{"github.com/gomlx/gomlx/pkg/core/graph"}},
		"only internal/backend imports GoMLX backends":   {ImportPath: "gpt2", Imports: []string{"github.com/gomlx/compute/gobackend"}},
		"lab pulls in no GoMLX":                          {ImportPath: "notebooks/lab", Deps: []string{"github.com/gomlx/compute"}},
		"lab knows the engine by its wire alone":         {ImportPath: "notebooks/lab", Deps: []string{module + "/internal/engine/server"}},
		"only lab imports GoNB":                          {ImportPath: "viz", Deps: []string{"github.com/janpfeifer/gonb/gonbui"}},
		"nothing imports cmd, notebooks or tutorials":    {ImportPath: "internal/engine", Imports: []string{module + "/notebooks/lab"}},
		"libraries do not know the engine":               {ImportPath: "clt", Deps: []string{module + "/internal/engine"}},
		"the server knows no model":                      {ImportPath: "internal/engine/server", Deps: []string{module + "/gpt2"}},
	}
	for _, r := range rules {
		p, ok := planted[r.name]
		if !ok {
			t.Errorf("no violation is planted for %q", r.name)
			continue
		}
		deps := p.Imports
		if r.deep {
			deps = p.Deps
		}
		to := room(deps[0])
		if !r.in(p.ImportPath) || !r.bad(deps[0], to) {
			t.Errorf("%q does not see %s importing %s", r.name, p.ImportPath, deps[0])
		}
	}
}
