package notebook

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
)

const module = "github.com/etredal/cross-layer-transcoder"

// common are packages that cells may use without an import, as the kernel finds
// them too.
var common = map[string]string{"lab": module + "/notebooks/lab", "viz": module + "/viz", "attribution": module + "/clt/attribution",
	"fmt": "fmt", "math": "math", "strings": "strings", "sort": "sort", "slices": "slices", "maps": "maps", "os": "os", "time": "time",
	"errors": "errors", "strconv": "strconv", "regexp": "regexp", "json": "encoding/json", "filepath": "path/filepath", "rand": "math/rand/v2", "cmp": "cmp"}

// program collects what cells declare, as the kernel does: a later declaration of
// a name replaces the earlier one.
type program struct {
	imports map[string]string // name -> path
	names   []string          // of declarations, in their order
	decls   map[string]string // name -> source
}

func newProgram() *program {
	return &program{imports: map[string]string{}, decls: map[string]string{}}
}

// cell adds a cell's declarations and returns the file to run, "" if the cell only
// declares. After a line %% stands what main does.
func (p *program) cell(source string) (string, error) {
	var decls, body strings.Builder
	main := false
	for line := range strings.Lines(source) {
		trimmed := strings.TrimSpace(line)
		switch {
		case !main && (trimmed == "%%" || strings.HasPrefix(trimmed, "%% ") || trimmed == "%main"):
			main = true
			continue
		case strings.HasPrefix(trimmed, "%") || strings.HasPrefix(trimmed, "!"):
			return "", fmt.Errorf("%q is a command of the kernel; run this notebook in JupyterLab (make lab)", trimmed)
		}
		if main {
			body.WriteString(line)
		} else {
			decls.WriteString(line)
		}
	}
	if err := p.declare(decls.String()); err != nil {
		return "", err
	}
	if !main && p.decls["main"] == "" {
		return "", nil
	}
	defer delete(p.decls, "main")
	return p.file(body.String(), main)
}

// declare adds the declarations of a text.
func (p *program) declare(text string) error {
	const head = "package main\n"
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "cell", head+text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "cell:"))
	}
	for _, x := range f.Imports {
		full, err := strconv.Unquote(x.Path.Value)
		if err != nil {
			return err
		}
		name := path.Base(full)
		if x.Name != nil {
			name = x.Name.Name
		}
		p.imports[name] = full
	}
	for _, d := range f.Decls {
		names := declared(d)
		if len(names) == 0 {
			continue
		}
		for _, n := range names {
			p.names = slices.DeleteFunc(p.names, func(x string) bool { return x == n })
			delete(p.decls, n)
		}
		p.names = append(p.names, names[0])
		p.decls[names[0]] = (head + text)[set.Position(d.Pos()).Offset:set.Position(d.End()).Offset]
	}
	return nil
}

// declared are the names that a declaration gives; none for imports.
func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil && len(d.Recv.List) == 1 {
			name = fmt.Sprintf("%v.%s", receiver(d.Recv.List[0].Type), name)
		}
		return []string{name}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

// file is the program of a cell, with the imports that it uses.
func (p *program) file(body string, main bool) (string, error) {
	var b strings.Builder
	for _, n := range p.names {
		if d := p.decls[n]; d != "" && (n != "main" || !main) {
			b.WriteString(d + "\n\n")
		}
	}
	if main {
		b.WriteString("func main() {\n//line cell:1\n" + body + "\n}\n")
	}
	f, err := parser.ParseFile(token.NewFileSet(), "cell", "package main\n"+b.String(), 0)
	if err != nil {
		return "", fmt.Errorf("%s", err)
	}
	used := map[string]bool{}
	for _, id := range f.Unresolved {
		used[id.Name] = true
	}
	var imports []string
	for name := range used {
		full := p.imports[name]
		if full == "" {
			full = common[name]
		}
		if full != "" {
			imports = append(imports, fmt.Sprintf("import %s %q\n", name, full))
		}
	}
	sort.Strings(imports)
	return "package main\n\n" + strings.Join(imports, "") + "\n" + b.String(), nil
}
