// Package nearest guesses which name was meant.
package nearest

import "fmt"

// DidYouMean is ", did you mean X?" for the nearest of some names, or "" where none is near.
func DidYouMean(got string, names []string) string {
	best, least := "", 5
	for _, n := range names {
		d := 2 * distance(got, n)
		if got == "" || n == "" || n[0] != got[0] {
			d++ // the first letter is seldom wrong
		}
		if d < least && d < 2*len(got) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", best)
}

// distance is the number of letters to insert, delete or change, where two letters in each other's place count once.
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := row[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			next[j] = min(change, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
