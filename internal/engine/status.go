package engine

import (
	"bufio"
	"context"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Status says what is open and how much memory it takes.
func (s *Service) Status(ctx context.Context, req wire.Empty, report func(wire.Progress)) (wire.StatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := wire.StatusResponse{Models: []wire.Loaded{}, Backends: []string{}}
	out.MemoryMiB, out.PeakMiB = residentMemory()
	for _, m := range s.models {
		l := wire.Loaded{Kind: "model", Name: m.Name, SHA256: m.SHA256, Parameters: parameters(m.Config), DType: "f32"}
		if m.Double {
			l.DType = "f64"
		}
		out.Models = append(out.Models, l)
	}
	for _, r := range s.joined {
		out.Models = append(out.Models, wire.Loaded{Kind: "transcoder", Name: r.ID.Name, SHA256: r.ID.SHA256, Parameters: r.CLT.NumParameters(), DType: "f32"})
	}
	sort.Slice(out.Models, func(i, j int) bool {
		a, b := out.Models[i], out.Models[j]
		return a.Kind+a.Name+a.DType+a.SHA256 < b.Kind+b.Name+b.DType+b.SHA256
	})
	for _, o := range s.backends {
		out.Backends = append(out.Backends, o.info.String())
	}
	sort.Strings(out.Backends)
	return out, nil
}

// residentMemory is the resident memory of this process and its peak, MiB; zero where
// there is no /proc.
func residentMemory() (now, peak int) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.Atoi(fields[1])
		switch fields[0] {
		case "VmRSS:":
			now = kib / 1024
		case "VmHWM:":
			peak = kib / 1024
		}
	}
	return now, peak
}
