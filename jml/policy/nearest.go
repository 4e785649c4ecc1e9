package policy

import "strings"

// Nearest returns the word most like the one given, for "did you mean"; "" when none is near. Case counts for nothing.
func Nearest(word string, words []string) string {
	const longest = 64
	if len(word) > longest {
		return ""
	}
	best, least := "", max(2, (len(word)+2)/3)+1
	for _, w := range words {
		if len(w) > longest {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(w)); d < least {
			best, least = w, d
		}
	}
	return best
}

// distance counts the letters to insert, drop, replace or swap with a neighbour to make b of a.
func distance(a, b string) int {
	var before []int
	prev, cur := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			change := prev[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			cur[j] = min(change, prev[j]+1, cur[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, make([]int, len(b)+1)
	}
	return prev[len(b)]
}

// meant is the end of a message about a word that is not known.
func meant(word string, words []string) string {
	if near := Nearest(word, words); near != "" {
		return "; did you mean " + near + "? expected one of " + strings.Join(words, ", ")
	}
	return "; expected one of " + strings.Join(words, ", ")
}
