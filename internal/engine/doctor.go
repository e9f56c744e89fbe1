package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/internal/backend"
	"github.com/etredal/cross-layer-transcoder/internal/bench"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// States of a check. Only what stops all work is a failure: a machine without
// Python still attributes and trains.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "fail"
)

const (
	oldestGo   = 26        // minor version of Go 1
	wantMemory = 4 << 30   // bytes that the pocket model, training and a notebook take together
	wantDisk   = 512 << 20 // bytes for cells, graphs and checkpoints
)

// Doctor looks at the machine and says what is there, what is missing and how to
// get it. It opens the backend that work would run on.
func (s *Service) Doctor(ctx context.Context, _ wire.Empty, report func(wire.Progress)) (wire.DoctorResponse, error) {
	groups := []struct {
		phase  string
		checks func() []wire.Check
	}{
		{"machine", func() []wire.Check { return machineChecks(ctx) }},
		{"backends", func() []wire.Check { return s.backendChecks(ctx) }},
		{"models", s.modelChecks},
		{"notebooks", func() []wire.Check { return notebookChecks(ctx) }},
	}
	var out wire.DoctorResponse
	for i, g := range groups {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		tell(report, wire.Progress{Phase: "doctor", Done: i, Total: len(groups), Message: g.phase})
		out.Checks = append(out.Checks, g.checks()...)
	}
	return out, nil
}

// check makes one line; the cure is dropped where nothing is wrong.
func check(name, status, detail, cure string) wire.Check {
	if status == checkOK {
		cure = ""
	}
	return wire.Check{Name: name, Status: status, Detail: detail, Cure: cure}
}

// okOr is checkOK or what it is otherwise.
func okOr(ok bool, otherwise string) string {
	if ok {
		return checkOK
	}
	return otherwise
}

func machineChecks(ctx context.Context) []wire.Check {
	list := []wire.Check{
		check("program", checkOK, runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH, ""),
		goCheck(ctx),
		compilerCheck(),
		check("cores", okOr(backend.Cores() > 1, checkWarn), fmt.Sprintf("%d of %d used", backend.Cores(), runtime.NumCPU()),
			"unset GOMAXPROCS, or give the container more processors"),
	}
	if total, free, ok := memory(); ok {
		list = append(list, check("memory", okOr(free >= wantMemory, checkWarn), fmt.Sprintf("%s free of %s", bytesText(free), bytesText(total)),
			"close other programs, or train with a smaller -batch"))
	}
	return append(list, diskCheck())
}

var goVersion = regexp.MustCompile(`go1\.(\d+)[.\d\w]*`)

// goCheck looks for the toolchain that builds cells and this program.
func goCheck(ctx context.Context) wire.Check {
	const cure = "install Go 1.26 or newer; notebooks and make build need it"
	path, err := exec.LookPath("go")
	if err != nil {
		return check("go", checkWarn, "not found", cure)
	}
	text := firstOutput(ctx, path, "env", "GOVERSION")
	m := goVersion.FindStringSubmatch(text)
	if m == nil {
		return check("go", checkWarn, "does not tell its version", cure)
	}
	minor, _ := strconv.Atoi(m[1])
	return check("go", okOr(minor >= oldestGo, checkWarn), m[0], cure)
}

// compilerCheck looks for the C compiler that XLA's bindings are built with.
func compilerCheck() wire.Check {
	for _, name := range []string{os.Getenv("CC"), "gcc", "clang", "cc"} {
		if name == "" {
			continue
		}
		if _, err := exec.LookPath(strings.Fields(name)[0]); err == nil {
			return check("c compiler", checkOK, name, "")
		}
	}
	return check("c compiler", checkWarn, "not found: programs are built without XLA", "apt-get install gcc libc6-dev, then make build")
}

// firstOutput is the first line that a program prints, "" if it does not run.
func firstOutput(ctx context.Context, name string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(line)
}

// diskCheck writes a file where temporary files go, and looks at the space there.
func diskCheck() wire.Check {
	dir := os.TempDir()
	const cure = "free some space there, or set TMPDIR to another folder"
	f, err := os.CreateTemp(dir, "clt-doctor-")
	if err == nil {
		_, err = f.Write(make([]byte, 1<<16))
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		_ = os.Remove(f.Name())
	}
	if err != nil {
		return check("temporary files", checkFail, fmt.Sprintf("cannot write in %s", dir), cure)
	}
	free, ok := freeDisk(dir)
	if !ok {
		return check("temporary files", checkOK, dir, "")
	}
	return check("temporary files", okOr(free >= wantDisk, checkWarn), fmt.Sprintf("%s free in %s", bytesText(free), dir), cure)
}

// backendChecks opens what work would run on and says why others would not be.
func (s *Service) backendChecks(ctx context.Context) []wire.Check {
	var list []wire.Check
	o, err := s.lockedBackend("")
	if err != nil {
		list = append(list, check("backend", checkFail, oneLine(err), "unset GOMLX_BACKEND and "+backend.PluginEnv+", or give -backend go"))
	} else {
		list = append(list, check("backend", checkOK, o.info.String(), ""))
		for _, why := range o.info.Rejected {
			what, cure, _ := strings.Cut(strings.TrimPrefix(why, "backend: "), "; ")
			name, detail, _ := strings.Cut(what, ": ")
			status := checkWarn
			if name == "xla:cuda" && !backend.HasCUDADevice() {
				status = checkOK // nothing to mend on a machine without one
			}
			list = append(list, check(name, status, "not used: "+detail, cure))
		}
	}
	if err == nil {
		list = append(list, check("simd", okOr(o.info.SIMD, checkWarn), simdText(o.info.SIMD), "build with make build, which sets GOEXPERIMENT=simd"), speedCheck(ctx, o))
	}
	plugin := backend.FindPlugin("cpu")
	list = append(list, check("xla cpu plugin", okOr(plugin != "", checkWarn), orNone(plugin), "run make setup, or set "+backend.PluginEnv+" to the path of one"))
	return append(list, cudaChecks()...)
}

// Width of the matrices that Doctor multiplies, and the speed below which even the
// pocket model is slow.
const (
	productWidth = 512
	wantFLOPS    = 2e9
)

// speedCheck multiplies two matrices, which is what nearly all the work consists of.
func speedCheck(ctx context.Context, o opened) wire.Check {
	flops, err := bench.ProductSpeed(ctx, o.b, productWidth)
	if err != nil {
		return check("matrix product", checkFail, oneLine(err), "try another backend with -backend or GOMLX_BACKEND")
	}
	return check("matrix product", okOr(flops >= wantFLOPS, checkWarn), fmt.Sprintf("%.3g GFLOP/s, float32, %d×%d", flops/1e9, productWidth, productWidth),
		"close other programs, or build with make build")
}

func simdText(on bool) string {
	if on {
		return "the Go backend uses " + runtime.GOARCH + " vector instructions"
	}
	return "off: matmuls of the Go backend are about 18 times slower"
}

func orNone(path string) string {
	if path == "" {
		return "not found"
	}
	return path
}

// cudaChecks say what an NVIDIA device needs; one line if there is none.
func cudaChecks() []wire.Check {
	if !backend.HasCUDADevice() {
		return []wire.Check{check("cuda device", checkOK, "none: nothing to set up", "")}
	}
	const cure = "run make setup-cuda"
	list := []wire.Check{check("cuda device", checkOK, "found", "")}
	plugin := backend.FindPlugin("cuda")
	list = append(list, check("cuda plugin", okOr(plugin != "", checkWarn), orNone(plugin), cure))
	if plugin == "" {
		return list
	}
	nvidia := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(plugin))), "nvidia")
	var missing []string
	for _, lib := range []string{"cudnn", "nccl"} {
		if !isDir(filepath.Join(nvidia, lib)) {
			missing = append(missing, lib)
		}
	}
	if !isDir(filepath.Join(nvidia, "cu13")) && !isDir(filepath.Join(nvidia, "cuda_runtime")) {
		missing = append(missing, "cuda runtime")
	}
	detail := "beside the plugin"
	if len(missing) > 0 {
		detail = "missing beside the plugin: " + strings.Join(missing, ", ")
	}
	return append(list, check("cuda libraries", okOr(len(missing) == 0, checkWarn), detail, cure))
}

// modelChecks open the embedded model and list what was fetched.
func (s *Service) modelChecks() []wire.Check {
	var list []wire.Check
	info, err := s.Open(context.Background(), wire.OpenRequest{Setup: wire.Setup{Model: pocket.Name, CLT: pocket.Name}, WithCLT: true}, nil)
	if err != nil {
		list = append(list, check("pocket model", checkFail, oneLine(err), "build the program from a whole clone: make build"))
	} else {
		list = append(list, check("pocket model", checkOK, fmt.Sprintf("%d layers, %d parameters, transcoder with %d features a layer",
			info.Layers, info.Parameters, info.CLT.Features), ""))
	}
	if dir := os.Getenv("GPT2_DIR"); dir != "" {
		list = append(list, check("GPT2_DIR", okOr(isDir(dir), checkWarn), dir, "set it to a folder with config.json and model.safetensors"))
	}
	for _, root := range modelRoots() {
		entries, err := os.ReadDir(root)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() {
				list = append(list, check("model "+e.Name(), checkOK, filepath.Join(root, e.Name()), ""))
			}
		}
	}
	return list
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func bytesText(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
