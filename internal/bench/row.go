package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// Size is one number that says what was timed: tokens, layers.
type Size struct {
	Name  string
	Value int
}

// Row is one measurement.
type Row struct {
	Bench   string
	What    string // activation of a transcoder in training; "" elsewhere
	Sizes   []Size
	Backend string
	Times   Times
	PeakMB  float64 // resident memory of the process so far, MB
	GFLOP   float64 // per call
	GEMM    float64 // GFLOP/s of a matrix product, measured around this row
	Tokens  int     // per call; 0 where there are none
	Bytes   int     // of text, per call; 0 where there is none
	Ratio   float64 // of the speed to that of the row before; 0 where nothing is compared

	ReadGB float64 // of weights that one call reads, GB; 0 where memory is not what limits
	Memory float64 // GB/s at which they can be read at all, measured around this row

	WorkRatio float64 // Ratio by processor time instead of the clock
	Phases    []Phase // of the fastest call, where a suite has them
	WorkMB    float64 // all that one call allocates beside its input, MB; 0 where it is not measured
}

// Phase is a part of a call.
type Phase struct {
	Name string
	Time time.Duration
}

// TokensPerSecond is that of the fastest call.
func (r Row) TokensPerSecond() float64 { return float64(r.Tokens) / r.Times.Min.Seconds() }

// MBPerSecond is the text that the fastest call took in, in units of 10^6 bytes.
func (r Row) MBPerSecond() float64 { return float64(r.Bytes) / 1e6 / r.Times.Min.Seconds() }

// GFLOPS is the speed of the fastest call.
func (r Row) GFLOPS() float64 { return r.GFLOP / r.Times.Min.Seconds() }

// Share is that speed as a part of the matrix product's, in percent.
func (r Row) Share() float64 { return 100 * r.GFLOPS() / r.GEMM }

// GBPerSecond is the rate at which the fastest call read weights.
func (r Row) GBPerSecond() float64 { return r.ReadGB / r.Times.Min.Seconds() }

// MemoryShare is that rate as a part of the memory's, in percent.
func (r Row) MemoryShare() float64 { return 100 * r.GBPerSecond() / r.Memory }

// MarshalJSON writes the sizes among the other members.
func (r Row) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	member := func(name string, v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", name, data)
		return nil
	}
	b.WriteByte('{')
	err := member("bench", r.Bench)
	if r.What != "" && err == nil {
		err = member("activation", r.What)
	}
	for _, s := range r.Sizes {
		if err == nil {
			err = member(s.Name, s.Value)
		}
	}
	for _, m := range []struct {
		name string
		v    any
	}{{"backend", r.Backend}, {"min_s", round(r.Times.Min.Seconds())}, {"median_s", round(r.Times.Median.Seconds())},
		{"first_call_s", round(r.Times.First.Seconds())}, {"peak_rss_mb", round(r.PeakMB)}, {"gflop", round(r.GFLOP)},
		{"gflops", round(r.GFLOPS())}, {"gemm_gflops_now", round(r.GEMM)}, {"pct_gemm", round(r.Share())}} {
		if err == nil {
			err = member(m.name, m.v)
		}
	}
	if r.Tokens > 0 && err == nil {
		err = member("tokens_per_s", round(r.TokensPerSecond()))
	}
	if r.Bytes > 0 && err == nil {
		err = member("mb_per_s", round(r.MBPerSecond()))
	}
	if r.ReadGB > 0 {
		for _, m := range []struct {
			name string
			v    float64
		}{{"gb_read", r.ReadGB}, {"gb_per_s", r.GBPerSecond()}, {"memory_gb_per_s_now", r.Memory}, {"pct_memory", r.MemoryShare()}} {
			if err == nil {
				err = member(m.name, round(m.v))
			}
		}
	}
	if r.Ratio > 0 && err == nil {
		err = member("ratio", round(r.Ratio))
	}
	if r.WorkRatio > 0 && err == nil {
		err = member("work_ratio", round(r.WorkRatio))
	}
	for _, p := range r.Phases {
		if err == nil {
			err = member(p.Name, round(p.Time.Seconds()))
		}
	}
	if r.WorkMB > 0 && err == nil {
		err = member("work_mb", round(r.WorkMB))
	}
	b.WriteByte('}')
	return b.Bytes(), err
}

// round keeps six digits.
func round(v float64) json.Number { return json.Number(fmt.Sprintf("%.6g", v)) }

// Times are those of one kind of call.
type Times struct{ First, Min, Median time.Duration }

// timed calls f once and then reps times.
func timed(ctx context.Context, reps int, f func() error) (t Times, err error) {
	var all []time.Duration
	for i := range reps + 1 {
		if err := ctx.Err(); err != nil {
			return t, err
		}
		begin := time.Now()
		if err := f(); err != nil {
			return t, err
		}
		if spent := time.Since(begin); i == 0 {
			t.First = spent
		} else {
			all = append(all, spent)
		}
	}
	return withStats(t, all), nil
}

// withStats fills in the smallest and the middle one.
func withStats(t Times, all []time.Duration) Times {
	if len(all) == 0 {
		t.Min, t.Median = t.First, t.First
		return t
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	t.Min, t.Median = all[0], all[len(all)/2]
	return t
}
