package knowledge

import "slices"

// The evidence from which a passage counts as being about a question. They were chosen to admit 85 % of the questions on
// the subject on each of several judged sets, and 5 % of those off it on all together; ops/docs/knowledge.md has what they do.
const (
	wordsAbout  = 0.325 // of what words say alone
	meantAbout  = 0.38  // with the similarity of vectors beside
	sharedAbout = 0.42  // of the share of the question's words, of a passage that the search by words did not find
	gistAbout   = 0.445 // with what the lexicon knows of its words beside
	// The same with how common the question's words are beside.
	meantFamiliar = 0.372
	gistFamiliar  = 0.425
)

// strange is the fit below which no answer is quoted, where similarities are measured: of 273 questions on the subject none
// has less, and of 90 off it two thirds do.
const strange = 0.3

// What counts beside the words: the similarity of the best part, by a model that was measured and by the lexicon.
const (
	meantShare = 0.8
	knownShare = 0.6
)

// How common the question's words are in the base counts so much beside these. A question on another subject is recognised by
// words that the base seldom has, even where a passage has most of the others by chance, which lexical vectors see less.
const (
	familiarBesideMeant = 0.3
	familiarBesideGist  = 0.5
)

// measured reports whether the similarities of a model say whether a passage is about a question. Models differ in what
// two texts without relation have, from 0.1 to 0.8, so one that was not measured orders passages and says nothing of coverage.
func measured(model Model) bool {
	return model.Name == "all-MiniLM-L6-v2" || model.Name == "all-minilm"
}

// fit is how well a passage fits a question from 0 to 1, where StrongMatch is the calibrated threshold. parts are the
// cosines of its parts, nil where it has none; shared is the share of the question's words that it has, where that is all that
// is known of its words.
func fit(f fused, model Model, parts []float64, shared float64) float64 {
	words := f.covered
	if f.text != nil {
		words += *f.text
	}
	words = float64(words / 2) // rounded before a threshold is taken from it
	if f.text == nil && f.familiar == nil && model.Lexical() {
		words = float64(shared * (wordsAbout / sharedAbout))
	}
	if f.about != nil {
		return f.judged(float64((1-knownShare)*words)+float64(knownShare**f.about), gistAbout, familiarBesideGist, gistFamiliar)
	}
	if f.vector == nil || !measured(model) {
		return calibrated(words, wordsAbout)
	}
	meant := *f.vector
	if len(parts) > 0 {
		meant = slices.Max(parts)
	}
	return f.judged(float64((1-meantShare)*words)+float64(meantShare*meant), meantAbout, familiarBesideMeant, meantFamiliar)
}

// judged is a fit by what a passage says of a question, with its threshold alone, and, where that is known, by how common the
// question's words are, with what that counts and the threshold then.
func (f fused) judged(passage, alone, share, beside float64) float64 {
	if f.familiar == nil {
		return calibrated(passage, alone)
	}
	return calibrated(float64((1-share)*passage)+float64(share**f.familiar), beside)
}

// calibrated stretches a score so that its threshold is at StrongMatch and 0 and 1 stay.
func calibrated(score, threshold float64) float64 {
	switch {
	case score <= 0:
		return 0
	case score < threshold:
		return StrongMatch * score / threshold
	}
	return min(1, StrongMatch+float64((1-StrongMatch)*(score-threshold)/(1-threshold)))
}
