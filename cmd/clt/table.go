package main

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is rows in columns for terminals, with a title and a head, each of which
// may be empty. Columns of numbers are aligned to the right.
func table(title string, head []string, rows [][]string) string {
	lines := rows
	if strings.Join(head, "") != "" {
		lines = append([][]string{head}, rows...)
	}
	var width []int
	numeric := make([]bool, len(head))
	for i := range head {
		w := 0
		for _, row := range lines {
			w = max(w, utf8.RuneCountInString(row[i]))
		}
		width = append(width, w)
		numeric[i] = len(rows) > 0
		for _, row := range rows {
			numeric[i] = numeric[i] && isNumber(row[i])
		}
	}
	var b strings.Builder
	if title != "" {
		b.WriteString(title + "\n")
	}
	for _, row := range lines {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if numeric[i] {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
			line.WriteString("  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

func isNumber(s string) bool {
	if s == "-" {
		return true
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
