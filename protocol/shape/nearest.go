package shape

// nearest is the known name that differs least from key, or nothing when none
// is close: no further than a third of the key.
func nearest(key string, known []property) string {
	best, name := len(key)/3+1, ""
	for _, p := range known {
		if d := distance(key, p.name); d < best || d == best && name == "" {
			best, name = d, p.name
		}
	}
	return name
}

// distance is the number of bytes to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
