package knowledge

// coveredShare is the share of a question's words, weighted by rarity, from which a passage counts as
// being about it. On the half "tune" of the judged set it admits 90 % of the questions on the subject
// and 5 % of those off it; ops/docs/knowledge.md has the curve.
const coveredShare = 0.42

// likeness is the cosine similarity from which vectors of a model count as being about the same thing.
// Models differ in what two texts without relation have, from 0.1 to 0.8, so one that was not measured
// orders passages and says nothing of coverage.
func likeness(model Model) (threshold float64, measured bool) {
	if model.Name == "all-MiniLM-L6-v2" || model.Name == "all-minilm" {
		return 0.45, true // unrelated texts stay below 0.35
	}
	return 0, false
}

// fit is how well a passage fits a question from 0 to 1, where StrongMatch is the calibrated threshold.
func fit(f fused, model Model) float64 {
	best := calibrated(f.covered, coveredShare)
	if threshold, measured := likeness(model); measured && f.vector != nil {
		best = max(best, calibrated(*f.vector, threshold))
	}
	return best
}

// calibrated stretches a score so that its threshold is at StrongMatch and 0 and 1 stay.
func calibrated(score, threshold float64) float64 {
	switch {
	case score <= 0:
		return 0
	case score < threshold:
		return StrongMatch * score / threshold
	}
	return min(1, StrongMatch+(1-StrongMatch)*(score-threshold)/(1-threshold))
}
