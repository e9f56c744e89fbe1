package gpt2

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// textKinds are the formats of a dataset's files, the first that there is wins.
var textKinds = []string{".parquet", ".jsonl", ".ndjson", ".txt"}

// textKind is which of them a file has, packed or not; -1 for none.
func textKind(name string) int {
	if name = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(name), ".gz"), ".zst"); strings.HasPrefix(path.Base(name), ".") {
		return -1
	}
	return slices.Index(textKinds, path.Ext(name))
}

// datasetFiles keeps the texts of a dataset: those whose name is like the pattern; without one those of one format, and of
// them those of the training part, if names say which these are. The names that are listed but not wanted come back too.
func datasetFiles(files []hubFile, pattern string) ([]hubFile, error) {
	var texts []hubFile
	var names []string
	for _, f := range files {
		if names = append(names, f.name); textKind(f.name) >= 0 {
			texts = append(texts, f)
		}
	}
	if pattern != "" {
		like := slices.DeleteFunc(slices.Clone(texts), func(f hubFile) bool {
			whole, _ := path.Match(pattern, f.name)
			base, _ := path.Match(pattern, path.Base(f.name))
			return !whole && !base
		})
		if len(like) == 0 {
			return nil, fmt.Errorf("no text of the dataset is named like %s; it has %s", pattern, someNames(names))
		}
		return like, nil
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("the dataset has no parquet, jsonl or txt; it has %s", someNames(names))
	}
	for kind := range textKinds {
		of := slices.DeleteFunc(slices.Clone(texts), func(f hubFile) bool { return textKind(f.name) != kind })
		train := slices.DeleteFunc(slices.Clone(of), func(f hubFile) bool { return !strings.Contains(strings.ToLower(f.name), "train") })
		if len(train) > 0 {
			return train, nil
		}
		if len(of) > 0 {
			return of, nil
		}
	}
	return texts, nil
}

func someNames(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// fits refuses a download that is larger than asked for.
func (c FetchConfig) fits(files []hubFile) error {
	var total int64
	for _, f := range files {
		total += max(f.size, 0)
	}
	if c.MaxBytes > 0 && total > c.MaxBytes {
		return fmt.Errorf("the %d files are %.1f GiB, more than %.1f; choose some of them by a pattern, such as %s",
			len(files), float64(total)/(1<<30), float64(c.MaxBytes)/(1<<30), files[0].name)
	}
	return nil
}
