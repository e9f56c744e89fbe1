package viz

import (
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
)

// Schema is the version of the provenance block in exported pages.
const Schema = "clt-provenance/1"

// Provenance says where a page comes from, enough to make it again. It stands
// in the page as a table and as JSON. Names and hashes only: no user, host or
// absolute path, which Page refuses. Created and Timings change the bytes of a
// page; leave them out to get the same file twice.
type Provenance struct {
	Schema   string               `json:"schema"`
	Tool     string               `json:"tool,omitempty"`     // module and version
	Revision string               `json:"revision,omitempty"` // of the source
	Dirty    bool                 `json:"dirty,omitempty"`    // source had changes
	Go       string               `json:"go,omitempty"`
	Platform string               `json:"platform,omitempty"` // "linux/amd64"
	CPUs     int                  `json:"cpus,omitempty"`
	MemMiB   int                  `json:"mem_mib,omitempty"`
	Backend  string               `json:"backend,omitempty"`
	GoNB     string               `json:"gonb,omitempty"` // commit
	Model    attribution.Artifact `json:"model,omitzero"`
	CLT      attribution.Artifact `json:"clt,omitzero"`
	Prompt   string               `json:"prompt,omitempty"`
	IDs      []int32              `json:"token_ids,omitempty"`
	// Attribution holds the settings of the graph, caps and thresholds included.
	Attribution *attribution.Settings `json:"attribution,omitempty"`
	GraphSHA256 string                `json:"graph_sha256,omitempty"`
	Graphs      []GraphMade           `json:"graphs,omitempty"` // where there are several
	Nodes       [2]int                `json:"nodes,omitzero"`   // kept, total
	Edges       [2]int                `json:"edges,omitzero"`
	Influence   float64               `json:"influence_kept,omitempty"` // 0-1
	Seeds       map[string]uint64     `json:"seeds,omitempty"`          // by purpose
	Checks      []CheckResult         `json:"checks,omitempty"`
	Timings     map[string]float64    `json:"timings_s,omitempty"` // by phase
	PeakMiB     int                   `json:"peak_mib,omitempty"`
	Command     string                `json:"command,omitempty"` // one shell line, relative paths
	Created     string                `json:"created,omitempty"` // RFC 3339
	Extra       map[string]string     `json:"extra,omitempty"`
}

// GraphMade is one of the graphs in a page.
type GraphMade struct {
	Prompt  string `json:"prompt"`
	SHA256  string `json:"sha256"`
	Command string `json:"command,omitempty"` // as Provenance.Command
}

// ShellWord makes one word of it for a shell.
func ShellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:=,+-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// CheckResult is one measured promise.
type CheckResult struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	Pass  bool    `json:"pass"`
}

// rows is the table for people.
func (p Provenance) rows() [][]string {
	var out [][]string
	add := func(name, value string) {
		if value != "" {
			out = append(out, []string{name, value})
		}
	}
	rev := p.Revision
	if p.Dirty {
		rev += " with changes"
	}
	add("tool", strings.TrimSpace(p.Tool+" "+rev))
	machine := strings.TrimSpace(p.Go + " " + p.Platform)
	if p.CPUs > 0 {
		machine += fmt.Sprintf(", %d processors", p.CPUs)
	}
	if p.MemMiB > 0 {
		machine += ", " + count(p.MemMiB) + " MiB"
	}
	add("machine", machine)
	add("backend", p.Backend)
	add("GoNB", p.GoNB)
	add("model", artifact(p.Model))
	add("transcoder", artifact(p.CLT))
	if p.Prompt != "" {
		add("prompt", quoted(p.Prompt))
	}
	if len(p.IDs) > 0 {
		add("token ids", strings.Trim(fmt.Sprint(p.IDs), "[]"))
	}
	if p.Attribution != nil {
		add("attribution", settingsText(*p.Attribution))
	}
	add("graph sha256", p.GraphSHA256)
	for _, g := range p.Graphs {
		add("graph of "+quoted(g.Prompt), "sha256 "+g.SHA256)
		add(commandOf, g.Command)
	}
	if p.Nodes[1] > 0 {
		add("nodes", count(p.Nodes[0])+" of "+count(p.Nodes[1]))
	}
	if p.Edges[1] > 0 {
		add("edges", count(p.Edges[0])+" of "+count(p.Edges[1]))
	}
	if p.Influence > 0 {
		add("influence kept", pct(p.Influence))
	}
	for _, k := range keys(p.Seeds) {
		add("seed: "+k, strconv.FormatUint(p.Seeds[k], 10))
	}
	for _, c := range p.Checks {
		mark, _ := statement(map[bool]string{true: "ok", false: "fail"}[c.Pass])
		add("check: "+c.Name, mark+" "+num(c.Value)+", limit "+num(c.Limit))
	}
	for _, k := range keys(p.Timings) {
		add("time: "+k, num(p.Timings[k])+" s")
	}
	if p.PeakMiB > 0 {
		add("peak memory", count(p.PeakMiB)+" MiB")
	}
	for _, k := range keys(p.Extra) {
		add(k, p.Extra[k])
	}
	add("made again by", p.Command)
	add("created", p.Created)
	return out
}

// commandOf is the row after a graph of several.
const commandOf = "… made again by"

func artifact(a attribution.Artifact) string {
	if a.SHA256 != "" {
		return a.Name + ", sha256 " + a.SHA256
	}
	return a.Name
}

// settingsText lists the settings that are set, by their JSON names.
func settingsText(s attribution.Settings) string {
	var parts []string
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			continue
		}
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "" {
			name = v.Type().Field(i).Name
		}
		parts = append(parts, fmt.Sprintf("%s %v", name, f.Interface()))
	}
	return strings.Join(parts, ", ")
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// absolute finds paths that name a person's or a machine's folders.
var absolute = regexp.MustCompile(`(^|[\s"'=:,(])(/(home|root|tmp|Users|var|mnt|opt|work|private)/|~/|[A-Za-z]:\\|\\\\)`)

// check refuses what must not leave the machine.
func (p Provenance) check() error {
	for _, r := range p.rows() {
		if r[0] == "prompt" || r[0] == commandOf {
			continue
		}
		if absolute.MatchString(r[1]) {
			return fmt.Errorf("viz: page: provenance field %q holds an absolute path, %q; write it relative", r[0], r[1])
		}
	}
	for _, g := range p.Graphs { // a prompt may hold anything, the rest of the line not
		if absolute.MatchString(strings.ReplaceAll(g.Command, ShellWord(g.Prompt), "")) {
			return fmt.Errorf("viz: page: the command of a graph holds an absolute path, %q; write it relative", g.Command)
		}
	}
	return nil
}
