package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

// exerciseMark stands before the claim of a Try function among a kernel's checks.
const exerciseMark = "exercise: "

// Exercise is one exercise of the course and how far the reader has come with it.
type Exercise struct {
	Notebook string // in tutorials/exercises
	Name     string
	Minutes  int // at most
	Attempts
}

// Attempts are what the file of a clone keeps of an exercise. The best attempt counts:
// what was solved once stays solved.
type Attempts struct {
	Cases  int  `json:"cases"`  // how many the best attempt got right
	Of     int  `json:"of"`     // of so many; 0: not tried
	Tries  int  `json:"tries"`  // that were wrong before the first right one
	Solved bool `json:"solved"` // every case
	Whole  bool `json:"whole"`  // and the notebook's last cell was reached, which runs it against the model
}

// exerciseList is the course's, in its order.
var exerciseList = []Exercise{
	{Notebook: "02-features", Name: "activation of a feature", Minutes: 10},
	{Notebook: "03-losses", Name: "normalised error", Minutes: 10},
	{Notebook: "06-edges", Name: "a direction through LayerNorm", Minutes: 20},
	{Notebook: "07-influence", Name: "influence", Minutes: 20},
	{Notebook: "09-parallelogram", Name: "parallelogram constraint", Minutes: 15},
}

// Exercises shows which exercises are solved, and returns them. Progress is kept in
// out/exercises.json of the clone; remove the file to begin again.
func Exercises() []Exercise {
	list, err := exerciseProgress()
	if err != nil {
		fail("exercises", err)
		return nil
	}
	Show(exerciseTable(list))
	return list
}

// exerciseTable says of each exercise how far it is, in words that need no colour.
func exerciseTable(list []Exercise) viz.Output {
	var rows [][]string
	solved := 0
	for _, e := range list {
		state := "· not tried"
		switch {
		case e.Whole:
			state = "✓ solved, and holds in the model"
			solved++
		case e.Solved:
			state = "✓ solved; not yet run against the model"
			solved++
		case e.Of > 0:
			state = fmt.Sprintf("✗ %d of %d cases", e.Cases, e.Of)
		}
		tries := ""
		if e.Tries > 0 {
			tries = fmt.Sprint(e.Tries)
		}
		rows = append(rows, []string{"tutorials/exercises/" + e.Notebook + ".ipynb", e.Name, fmt.Sprintf("%d min", e.Minutes), state, tries})
	}
	return viz.Table(fmt.Sprintf("Exercises: %d of %d solved", solved, len(list)), []string{"notebook", "exercise", "up to", "state", "wrong tries"}, rows)
}

// exerciseFile is where progress is kept.
func exerciseFile() (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "out", "exercises.json"), nil
}

// progressFile is the content of exerciseFile.
type progressFile struct {
	Format    string              `json:"format"`
	Exercises map[string]Attempts `json:"exercises"`
}

const progressFormat = "clt-exercises/1"

func readProgress() (progressFile, error) {
	p := progressFile{Format: progressFormat, Exercises: map[string]Attempts{}}
	file, err := exerciseFile()
	if err != nil {
		return p, err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil || p.Format != progressFormat || p.Exercises == nil {
		return progressFile{Format: progressFormat, Exercises: map[string]Attempts{}},
			&wire.Error{Message: "lab: out/exercises.json is not what an exercise wrote", Cure: "remove it to begin again"}
	}
	return p, nil
}

func exerciseProgress() ([]Exercise, error) {
	p, err := readProgress()
	if err != nil {
		return nil, err
	}
	list := make([]Exercise, len(exerciseList))
	for i, e := range exerciseList {
		e.Attempts = p.Exercises[e.Name]
		list[i] = e
	}
	return list, nil
}

// inSolutions says whether this cell is one of a solution, which solves nothing: a
// kernel's working directory is its notebook's folder.
func inSolutions() bool {
	dir, err := os.Getwd()
	return err != nil || filepath.Base(dir) == "solutions"
}

// keepProgress changes what is known of some exercises. That it cannot be written, as in
// a read-only clone, is no reason to fail a cell whose answer is right.
func keepProgress(change func(name string, p *Attempts), names ...string) {
	if checksFile() == "" || inSolutions() {
		return
	}
	all, err := readProgress()
	if err != nil {
		remark(wire.FromError(err).Error())
		return
	}
	for _, name := range names {
		p := all.Exercises[name]
		change(name, &p)
		all.Exercises[name] = p
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return
	}
	file, _ := exerciseFile()
	if err = os.MkdirAll(filepath.Dir(file), 0o755); err == nil {
		err = atomicfile.Write(file, append(data, '\n'))
	}
	if err != nil {
		remark(cannotWrite("out/exercises.json", err).Error())
	}
}

// markTried notes an attempt.
func markTried(name string, right, of int) {
	keepProgress(func(_ string, p *Attempts) {
		if right == of {
			p.Solved = true
		} else if !p.Solved {
			p.Tries++
		}
		p.Cases, p.Of = max(p.Cases, right), of
	}, name)
}

// markWhole notes that the last cell of an exercise notebook was reached with every
// check holding, and shows the table there; notebooks without exercises are left alone.
func markWhole(checks []outcome) {
	var names []string
	for _, c := range checks {
		if name, ok := strings.CutPrefix(c.Claim, exerciseMark); ok && name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 || inSolutions() {
		return
	}
	keepProgress(func(_ string, p *Attempts) { p.Whole = p.Solved }, names...)
	if list, err := exerciseProgress(); err == nil {
		Show(exerciseTable(list))
	}
}
