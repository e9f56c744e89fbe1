package notebook

import (
	"encoding/gob"
	"os"
	"path/filepath"
)

// The kernel's side of what cells show: programs write displayData to one named
// pipe and wait on another until it has arrived. The types and their names are
// those of GoNB's protocol.
type displayData struct {
	Data      map[string]any
	Metadata  map[string]any
	DisplayID string
}

type commValue struct {
	Address string
	Request bool
	Value   any
}

func init() {
	const protocol = "github.com/janpfeifer/gonb/gonbui/protocol."
	gob.RegisterName(protocol+"CommValue", commValue{})
	gob.Register(map[string]any{})
}

// pipes are the two named pipes of one run of a cell.
type pipes struct {
	out, back *os.File
}

func openPipes(dir string) (*pipes, error) {
	p := &pipes{}
	for _, x := range []struct {
		name string
		file **os.File
	}{{"out", &p.out}, {"back", &p.back}} {
		path := filepath.Join(dir, x.name)
		_ = os.Remove(path)
		if err := makePipe(path); err != nil {
			p.close()
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0o600) // both ends, so that nobody waits for the other
		if err != nil {
			p.close()
			return nil, err
		}
		*x.file = f
	}
	return p, nil
}

func (p *pipes) env() []string {
	return []string{"GONB_PIPE=" + p.out.Name(), "GONB_PIPE_BACK=" + p.back.Name()}
}

// read hands over what is shown and answers who waits, until the pipes are closed.
func (p *pipes) read(show func(displayData)) {
	in, back := gob.NewDecoder(p.out), gob.NewEncoder(p.back)
	for {
		var d displayData
		if err := in.Decode(&d); err != nil {
			return
		}
		if c, ok := d.Data["gonb/comm_value"].(commValue); ok {
			if c.Address == "#gonbui/sync" {
				_ = back.Encode(&commValue{Address: "#gonbui/sync_ack", Value: c.Value})
			}
			continue
		}
		show(d)
	}
}

func (p *pipes) close() {
	for _, f := range []*os.File{p.out, p.back} {
		if f != nil {
			_ = f.Close()
		}
	}
}
