package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLibrariesDoNotPrintOrExit reads the sources: libraries return or report.
func TestLibrariesDoNotPrintOrExit(t *testing.T) {
	for _, p := range packages(t) {
		r := room(p.ImportPath)
		if inside(r, "cmd") || inside(r, "notebooks") || isMain(p) {
			continue
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && forbidden(call) != "" {
					t.Errorf("%s/%s:%d calls %s; return an error or report instead", r, name, fset.Position(call.Pos()).Line, forbidden(call))
				}
				return true
			})
		}
	}
}

func isMain(p pkg) bool {
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly)
		return err == nil && file.Name.Name == "main"
	}
	return false
}

// forbidden is the name of a call that prints or exits, or "".
func forbidden(call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		if id, ok := call.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
			return id.Name
		}
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	name := x.Name + "." + sel.Sel.Name
	switch {
	case name == "os.Exit", name == "fmt.Print", name == "fmt.Printf", name == "fmt.Println":
		return name
	case x.Name == "log" && regexp.MustCompile(`^(Print|Fatal|Panic)`).MatchString(sel.Sel.Name):
		return name
	}
	return ""
}

// TestFilesStaySmall keeps files readable: one idea each.
func TestFilesStaySmall(t *testing.T) {
	const limit = 400
	for _, p := range packages(t) {
		r := room(p.ImportPath)
		for _, name := range p.GoFiles {
			if strings.HasPrefix(name, "z") {
				continue // generated
			}
			b, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(b), "\n"); n > limit {
				t.Errorf("%s/%s has %d lines, at most %d read well; split it by idea", r, name, n, limit)
			}
		}
	}
}

// TestEveryPackageHasADoc wants one package comment.
func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range packages(t) {
		r := room(p.ImportPath)
		documented := false
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || file.Doc != nil
		}
		if !documented && len(p.GoFiles) > 0 {
			t.Errorf("package %s has no package comment", r)
		}
	}
}

var (
	absolutePath = regexp.MustCompile(`["'\s=(](/home/|/root/|/Users/|/work/|[A-Z]:\\Users)`)
	textFile     = regexp.MustCompile(`\.(go|sh|py|md|json|ipynb|mod|txt|j2|yml|yaml|toml)$|(^|/)Makefile$|(^|/)run$`)
)

// TestNoAbsolutePaths reads every text file of the module: a clone works wherever it lies.
func TestNoAbsolutePaths(t *testing.T) {
	root := moduleRoot(t)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".venv", "bin", "out", "testdata", ".ipynb_checkpoints", "__pycache__":
				return filepath.SkipDir
			}
			return nil
		}
		if !textFile.MatchString(filepath.ToSlash(rel)) || rel == filepath.Join("internal", "arch", "sources_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if m := absolutePath.FindIndex(b); m != nil {
			line := 1 + strings.Count(string(b[:m[0]]), "\n")
			t.Errorf("%s:%d holds an absolute path: %s", rel, line, strings.TrimSpace(string(b[m[0]:min(m[1]+20, len(b))])))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
