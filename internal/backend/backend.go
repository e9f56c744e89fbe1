// Package backend chooses and opens the GoMLX backend that everything else
// computes with. It is the only package that imports GoMLX backends.
//
// The order is: an explicit choice (its failure is final), CUDA if a device and
// a plugin are there, XLA on the CPU if a plugin is there, the Go backend. XLA
// plugins are always given by absolute path, and nothing is ever downloaded.
// The Go backend always runs its operations in sequence: with parallel
// operations it deadlocks as soon as enough large matmuls are ready at once.
package backend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // the Go backend, always linked
)

// Go is the configuration of the Go backend: operations in sequence, each
// matmul on all cores.
const Go = "go:ops_sequential"

// PluginEnv names the variable that holds the absolute path of a PJRT plugin.
const PluginEnv = "CLT_PJRT_PLUGIN"

// Info says which backend was opened and why.
type Info struct {
	Name     string   // "go", "xla:cpu" or "xla:cuda"
	Config   string   // GoMLX configuration string
	Detail   string   // the backend's own description
	Plugin   string   // absolute path of the PJRT plugin, if any
	SIMD     bool     // built with GOEXPERIMENT=simd
	Rejected []string // one reason for each candidate that was not taken
}

// String is one line for people.
func (i Info) String() string {
	s := i.Name
	switch {
	case i.Name == "go" && i.SIMD:
		s += " (SIMD)"
	case i.Name == "go":
		s += " (without SIMD: matmuls are about 18 times slower; build with GOEXPERIMENT=simd)"
	default:
		s += " (" + filepath.Base(i.Plugin) + ")"
	}
	return s
}

// Open opens a backend. The name is "", "auto", "go", "xla", "xla:cpu",
// "xla:cuda" or the absolute path of a PJRT plugin; "" takes the value of
// GOMLX_BACKEND if that is set, and otherwise chooses.
func Open(name string) (compute.Backend, Info, error) {
	if name == "" {
		name = os.Getenv("GOMLX_BACKEND")
	}
	name = strings.TrimSpace(name)
	switch {
	case name == "" || name == "auto":
		return choose()
	case name == "go" || strings.HasPrefix(name, "go:"):
		return open("go", Go, "")
	case name == "xla":
		if b, info, err := openCUDA(); err == nil {
			return b, info, nil
		}
		return openCPU()
	case name == "xla:cpu":
		return openCPU()
	case name == "xla:cuda":
		return openCUDA()
	}
	path := strings.TrimPrefix(name, "xla:")
	path, options, _ := strings.Cut(path, ",")
	if !filepath.IsAbs(path) {
		return nil, Info{}, fmt.Errorf("backend: %q is not known; use go, xla, xla:cpu, xla:cuda or the absolute path of a PJRT plugin", name)
	}
	kind, config := "xla:cpu", "xla:"+path
	if isCUDA(path) {
		kind = "xla:cuda"
		if options == "" {
			options = "tf32=false" // TF32 has 10 bits of mantissa: no parity, no proof
		}
	}
	if options != "" {
		config += "," + options
	}
	return open(kind, config, path)
}

func choose() (compute.Backend, Info, error) {
	var rejected []string
	for _, try := range []func() (compute.Backend, Info, error){openCUDA, openCPU} {
		b, info, err := try()
		if err == nil {
			info.Rejected = rejected
			return b, info, nil
		}
		rejected = append(rejected, err.Error())
	}
	b, info, err := open("go", Go, "")
	info.Rejected = rejected
	return b, info, err
}

// open creates the backend; whatever panics inside a plugin becomes an error.
func open(name, config, plugin string) (b compute.Backend, info Info, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, fmt.Errorf("backend: %s failed to start: %v", name, r)
		}
	}()
	if plugin != "" && !xlaLinked {
		return nil, Info{}, fmt.Errorf("backend: %s: this program was built without XLA (tag noxla); build it with cgo, or use -backend go", name)
	}
	if plugin != "" {
		if _, err := os.Stat(plugin); err != nil {
			return nil, Info{}, fmt.Errorf("backend: %s: plugin: %w; run make setup, or set %s", name, err, PluginEnv)
		}
	}
	if plugin != "" {
		fewArenas()
	}
	b, err = compute.NewWithConfig(config)
	if err != nil {
		return nil, Info{}, fmt.Errorf("backend: %s: %w", name, firstLine(err))
	}
	return b, Info{Name: name, Config: config, Detail: b.Description(), Plugin: plugin, SIMD: simdBuilt}, nil
}

func openCPU() (compute.Backend, Info, error) {
	path := FindPlugin("cpu")
	if path == "" {
		return nil, Info{}, errors.New("backend: xla:cpu: no PJRT plugin found; run make setup, or set " + PluginEnv + " to its absolute path")
	}
	return open("xla:cpu", "xla:"+path, path)
}

func openCUDA() (compute.Backend, Info, error) {
	if !HasCUDADevice() {
		return nil, Info{}, errors.New("backend: xla:cuda: no NVIDIA device on this machine")
	}
	path := FindPlugin("cuda")
	if path == "" {
		return nil, Info{}, errors.New("backend: xla:cuda: no CUDA plugin found; run make setup-cuda")
	}
	pointToCUDAData(path)
	return open("xla:cuda", "xla:"+path+",tf32=false", path)
}

func isCUDA(path string) bool {
	p := strings.ToLower(path)
	return strings.Contains(p, "cuda") || strings.Contains(p, "nvidia")
}

// HasCUDADevice says whether the machine shows an NVIDIA device.
func HasCUDADevice() bool {
	for _, p := range []string{"/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"} {
		if _, err := os.Stat(p); err == nil {
			return true
		}
	}
	return false
}

// FindPlugin returns the absolute path of a PJRT plugin for "cpu" or "cuda", or
// "". It looks at CLT_PJRT_PLUGIN, the virtual environments of the clone and of
// the user, and the folder of go-xla's own installer.
func FindPlugin(kind string) string {
	if p := os.Getenv(PluginEnv); p != "" && isCUDA(p) == (kind == "cuda") {
		return p
	}
	var patterns []string
	if home, err := os.UserHomeDir(); err == nil {
		patterns = append(patterns, filepath.Join(home, ".local/lib/go-xla", "*"+kind+"*plugin.so"),
			filepath.Join(home, ".local/lib/go-xla/nvidia", "*"+kind+"*plugin.so"))
	}
	for _, venv := range venvs() {
		site := filepath.Join(venv, "lib", "python3*", "site-packages")
		if kind == "cpu" {
			patterns = append(patterns,
				filepath.Join(site, "lammps_jax_pjrt_cpu", "pjrt_c_api_cpu_plugin.so"),
				filepath.Join(site, "xla_plugins", "xla_cpu_pjrt", "xla_cpu_pjrt.so"))
		} else {
			patterns = append(patterns,
				filepath.Join(site, "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so"),
				filepath.Join(site, "jax_plugins", "xla_cuda12", "xla_cuda_plugin.so"))
		}
	}
	for _, pattern := range patterns {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			if abs, err := filepath.Abs(found[0]); err == nil {
				return abs
			}
		}
	}
	return ""
}

// venvs lists the virtual environments that may hold plugins: that of the
// clone (CLT_ROOT, the binary's parent, or any folder above the working
// directory) and the active one.
func venvs() []string {
	var roots []string
	if r := os.Getenv("CLT_ROOT"); r != "" {
		roots = append(roots, r)
	}
	if exe, err := os.Executable(); err == nil {
		roots = append(roots, filepath.Dir(filepath.Dir(exe)))
	}
	if dir, err := os.Getwd(); err == nil {
		for d := dir; ; d = filepath.Dir(d) {
			if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
				roots = append(roots, d)
				break
			}
			if d == filepath.Dir(d) {
				break
			}
		}
	}
	var list []string
	for _, r := range roots {
		list = append(list, filepath.Join(r, ".venv"))
	}
	if v := os.Getenv("VIRTUAL_ENV"); v != "" {
		list = append(list, v)
	}
	return list
}

// pointToCUDAData tells XLA where ptxas and libdevice are in pip's layout.
func pointToCUDAData(plugin string) {
	if strings.Contains(os.Getenv("XLA_FLAGS"), "xla_gpu_cuda_data_dir") {
		return
	}
	site := filepath.Dir(filepath.Dir(filepath.Dir(plugin)))
	for _, sub := range []string{"cu13", "cuda_nvcc"} {
		dir := filepath.Join(site, "nvidia", sub)
		if _, err := os.Stat(dir); err == nil {
			flags := strings.TrimSpace(os.Getenv("XLA_FLAGS") + " --xla_gpu_cuda_data_dir=" + dir)
			_ = os.Setenv("XLA_FLAGS", flags)
			return
		}
	}
}

// firstLine keeps errors to one line; plugins add stack traces.
func firstLine(err error) error {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(s)
}

// Cores is the number of processors that Go may use.
func Cores() int { return runtime.GOMAXPROCS(0) }
