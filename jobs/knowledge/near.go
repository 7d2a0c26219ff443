package knowledge

import "strings"

// nearness is how near to the question each quote of a text stands: the cosine of the best of the parts that hold its
// middle. nil where the text was not compared part by part.
func nearness(text string, quotes []quote, cosines []float64) []float64 {
	if len(cosines) == 0 {
		return nil
	}
	starts := wordStarts(text)
	near := make([]float64, len(quotes))
	at, word := 0, 0
	for i, q := range quotes {
		fields := strings.Fields(q.text)
		for f, field := range fields {
			found := strings.Index(text[at:], field)
			if found < 0 {
				continue // written otherwise in the quote
			}
			at += found
			for word+1 < len(starts) && starts[word+1] <= at {
				word++
			}
			if f == len(fields)/2 {
				near[i] = bestPart(word, cosines)
			}
			at += len(field)
		}
		if near[i] == 0 {
			near[i] = bestPart(word, cosines)
		}
	}
	return near
}

// bestPart is the highest cosine of the parts that a word is in.
func bestPart(word int, cosines []float64) float64 {
	last := min(word/partStride, len(cosines)-1)
	first := min(max(0, (word-partWords)/partStride+1), last)
	if word < partWords {
		first = 0
	}
	best := cosines[last]
	for _, c := range cosines[first:last] {
		best = max(best, c)
	}
	return best
}
