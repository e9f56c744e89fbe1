package engine

// ReadTexts reads text files as training does: a file is one text, a JSON line
// is one text, gzip is unpacked. Errors name file and line.
func ReadTexts(paths []string) ([]string, error) { return readTexts(paths) }
