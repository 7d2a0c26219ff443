package knowledge

import (
	"math"
	"slices"

	"millrace/jobs/portable"
)

// bestGist is what the nearest part of a passage counts for what it is about; all of its parts are the rest.
const bestGist = 0.6

// about is how near passages are to a question in what they are about, the nearest 1 and the farthest 0, and the cosine of the
// nearest part of each; nil when nothing is known of the question's words.
func (b *Base) about(question string, from []Match) (near, nearest []float64) {
	if b.lexicon == nil {
		return nil, nil
	}
	r := gists{known: b.lexicon, seen: map[string][]int32{}}
	asked := r.of(question)
	if asked == nil {
		return nil, nil
	}
	near, nearest = make([]float64, len(from)), make([]float64, len(from))
	for i, m := range from {
		best, sum, cut := -1.0, 0.0, parts(m.Text)
		for _, part := range cut {
			c := 0.0
			if gist := r.of(part); gist != nil {
				c = cosine(asked, gist)
			}
			best, sum = max(best, c), sum+c
		}
		nearest[i] = best
		near[i] = float64(bestGist*best) + float64((1-bestGist)*sum/float64(len(cut)))
	}
	low, high := slices.Min(near), slices.Max(near)
	for i := range near {
		if high > low {
			near[i] = (near[i] - low) / (high - low)
		} else {
			near[i] = 1
		}
	}
	return near, nearest
}

// gists reads what texts are about: the sum of what their words mean. Most words come often.
type gists struct {
	known Lexicon
	seen  map[string][]int32
	// holders, where they were counted, are how many texts have a word, and texts how many there are.
	holders map[string]int32
	texts   int
}

// rarityStep is the smallest difference of two words' rarity: sums of whole numbers are the same on every machine.
const rarityStep = 1.0 / 16

// count notes which words a text has.
func (g *gists) count(text string) {
	in := map[string]bool{}
	for word := range spellings(text) {
		if !in[word] {
			in[word] = true
			g.holders[word]++
		}
	}
	g.texts++
}

// of is nil of a text without a word that is known.
func (g *gists) of(text string) []int32 {
	var sum []int32
	for word := range spellings(text) {
		meaning, ok := g.seen[word]
		if !ok {
			meaning = g.weighed(word)
			g.seen[word] = meaning
		}
		if sum == nil && meaning != nil {
			sum = make([]int32, len(meaning))
		}
		for d, x := range meaning {
			sum[d] += x
		}
	}
	return sum
}

// weighed is what a word means: the longer, where texts were counted, the fewer have it.
func (g *gists) weighed(word string) []int32 {
	meaning := g.known.Meaning(word)
	if g.texts == 0 || meaning == nil {
		return meaning
	}
	rarity := portable.Log(1 + (float64(g.texts)+0.5)/(float64(g.holders[word])+0.5))
	steps := int32(math.Round(rarity / rarityStep))
	longer := make([]int32, len(meaning))
	for d, x := range meaning {
		longer[d] = steps * x
	}
	return longer
}
