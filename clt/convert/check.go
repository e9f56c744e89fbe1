package convert

import (
	"fmt"
	"io/fs"

	"github.com/etredal/cross-layer-transcoder/clt"
)

// Check reads a folder in any of Layouts and says everything that is wrong with it,
// each fault with its place: a missing or unknown tensor, a shape, values that are not
// finite. What stops a reader, such as a missing config, ends the list.
func Check(fsys fs.FS, layout Layout) []error {
	if layout == CircuitTracer {
		return clt.Check(fsys)
	}
	all := &faults{seen: map[string]bool{}}
	if _, _, err := openAs(fsys, "", Options{From: layout}, layout, all); err != nil {
		all.add(err)
	}
	return all.list
}

// faults collects what is wrong; nil collects nothing, so that the first one ends the
// reading.
type faults struct {
	list []error
	seen map[string]bool
}

// mostValues is how large a tensor is at most that stands in for a wrong one.
const mostValues = 1 << 26

func (f *faults) add(err error) {
	if text := err.Error(); !f.seen[text] { // a tensor of all layers is read layer by layer
		f.seen[text] = true
		f.list = append(f.list, err)
	}
}

// note takes in a fault, or gives it back.
func (f *faults) note(err error) error {
	if f == nil {
		return err
	}
	f.add(err)
	return nil
}

// instead takes in a fault and gives ones in the right shape to go on with.
func (f *faults) instead(err error, shape []int) ([]float32, error) {
	n := 1
	for _, d := range shape {
		if n *= d; d <= 0 || n > mostValues {
			return nil, err
		}
	}
	if err := f.note(err); err != nil {
		return nil, err
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = 1 // a scale of 0 would be a fault of its own
	}
	return v, nil
}

// finite takes in values that are no numbers.
func (f *faults) finite(file, tensor string, v []float32) {
	if f == nil {
		return
	}
	bad, first := 0, 0
	for i, x := range v {
		if x-x != 0 {
			if bad++; bad == 1 {
				first = i
			}
		}
	}
	if bad > 0 {
		f.add(fmt.Errorf("%s: %q holds %d values that are not finite, the first, %g; the training that made it diverged", file, tensor, bad, v[first]))
	}
}
