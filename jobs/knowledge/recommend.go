package knowledge

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"millrace/jobs/portable"
)

// RecommendStatus is how well candidates support a recommendation.
type RecommendStatus string

// The statuses: ok from 10 candidates on, degraded from 3 or when terms were relaxed to get there,
// and none.
const (
	RecommendOK       RecommendStatus = "ok"
	RecommendDegraded RecommendStatus = "degraded"
	RecommendNone     RecommendStatus = "none"
)

const (
	enoughForOK  = 10
	enoughForAny = 3
	// mostWeighed bounds the candidates that parameters are chosen from, as choosing compares each
	// with each.
	mostWeighed = 200
)

// Recommendation is what past trials say about parameters.
type Recommendation struct {
	Status     RecommendStatus
	Confidence float64            // 0 to 1, see confidence
	Params     map[string]float64 // of the candidate in the middle, see medoid; nil when there are too few
	BasedOn    *Candidate         // that candidate
	Ranges     []ParamRange       // by name
	Candidates []Candidate        // that met the terms, best first
	BestScore  float64            // highest similarity of a candidate; 0 without any
	Considered int                // trials that were held to the terms
	RejectedBy map[Axis]int       // trials that an axis rejected, perhaps among others
	Relaxed    []Axis             // that were relaxed to get enough
	Relax      []Relaxation       // how each axis could be; empty when there were enough
}

// ParamRange is how a parameter is spread over the candidates: weighted quartiles.
type ParamRange struct {
	Name              string
	Low, Median, High float64
}

// Relaxation is one axis set so far as to admit more candidates, the others left as they are.
type Relaxation struct {
	Axis   Axis
	From   float64
	To     float64 // 0 on the timeframe's axis, which is left out instead
	Admits int     // candidates that there would be then
}

// Recommend recommends parameters from candidates. Too few of them relax the nearness of the regime
// to half, then the timeframe, then both: what a trial earned is never relaxed, only suggested to be.
func Recommend(all []Candidate, terms Terms) *Recommendation {
	r := &Recommendation{Considered: len(all), RejectedBy: map[Axis]int{}, Relax: []Relaxation{}, Ranges: []ParamRange{}}
	for _, c := range all {
		for _, axis := range terms.fails(c) {
			r.RejectedBy[axis]++
		}
	}
	r.Candidates = terms.admit(all)
	if len(r.Candidates) < enoughForAny {
		r.relax(all, terms)
	}
	r.Status = RecommendNone
	switch n := len(r.Candidates); {
	case n >= enoughForOK && len(r.Relaxed) == 0:
		r.Status = RecommendOK
	case n >= enoughForAny:
		r.Status = RecommendDegraded
	default:
		r.Relax = suggest(all, terms)
	}
	r.weigh()
	return r
}

func (t Terms) admit(all []Candidate) []Candidate {
	var admitted []Candidate
	for _, c := range all {
		if len(t.fails(c)) == 0 {
			admitted = append(admitted, c)
		}
	}
	return admitted
}

// relax takes the first relaxed terms that admit enough.
func (r *Recommendation) relax(all []Candidate, terms Terms) {
	wider, any, both := terms, terms, terms
	wider.MinSimilarity /= 2
	any.Timeframe, both.Timeframe = "", ""
	both.MinSimilarity /= 2
	for _, attempt := range []struct {
		terms Terms
		axes  []Axis
	}{{wider, []Axis{AxisSimilarity}}, {any, []Axis{AxisTimeframe}}, {both, []Axis{AxisSimilarity, AxisTimeframe}}} {
		if attempt.terms == terms {
			continue
		}
		if found := attempt.terms.admit(all); len(found) >= enoughForAny && len(found) > len(r.Candidates) {
			r.Candidates, r.Relaxed = found, attempt.axes
			return
		}
	}
}

// weigh orders the candidates by weight, and takes from the best of them parameters, their ranges
// and the confidence.
func (r *Recommendation) weigh() {
	slices.SortStableFunc(r.Candidates, func(a, b Candidate) int { return cmp.Compare(b.weight(), a.weight()) })
	for _, c := range r.Candidates {
		r.BestScore = max(r.BestScore, c.Similarity)
	}
	best := r.Candidates[:min(len(r.Candidates), mostWeighed)]
	r.Confidence = confidence(best)
	if r.Status == RecommendNone {
		r.Confidence = 0
		return
	}
	middle := medoid(best)
	r.BasedOn, r.Params, r.Ranges = &best[middle], best[middle].Params, ranges(best)
}

// weight is what a candidate counts: the nearer its regime and the higher its Sharpe ratio, the
// more, but never nothing.
func (c Candidate) weight() float64 { return float64(c.Similarity * (0.1 + max(c.Sharpe, 0))) }

// confidence grows with the number of candidates and falls with the spread of their Sharpe ratios:
// (1 − e^(−n/10)) / (1 + s/m), with mean m and sample standard deviation s. It is 0 when m is not
// positive.
func confidence(candidates []Candidate) float64 {
	n := float64(len(candidates))
	if n == 0 {
		return 0
	}
	var sum, square float64
	for _, c := range candidates {
		sum += c.Sharpe
	}
	mean := sum / n
	if !(mean > 0) {
		return 0
	}
	for _, c := range candidates {
		square += float64((c.Sharpe - mean) * (c.Sharpe - mean))
	}
	spread := 0.0
	if n > 1 {
		spread = math.Sqrt(square/(n-1)) / mean
	}
	return (1 - portable.Exp(-n/enoughForOK)) / (1 + spread)
}

// medoid is the candidate with the least weighted distance to all others. A mean of parameters may
// be a set that was never run, or that a constraint forbids; this one was run.
func medoid(candidates []Candidate) int {
	scale := spans(candidates)
	best, least := 0, math.Inf(1)
	for i, c := range candidates {
		var sum float64
		for _, other := range candidates {
			sum += float64(other.weight() * distance(c.Params, other.Params, scale))
		}
		if sum < least {
			best, least = i, sum
		}
	}
	return best
}

// spans are how far each parameter reaches over the candidates.
func spans(candidates []Candidate) map[string]float64 {
	low, high := maps.Clone(candidates[0].Params), maps.Clone(candidates[0].Params)
	for _, c := range candidates {
		for name, value := range c.Params {
			low[name], high[name] = min(low[name], value), max(high[name], value)
		}
	}
	for name := range high {
		high[name] -= low[name]
	}
	return high
}

func distance(a, b, scale map[string]float64) float64 {
	var sum float64
	for name, span := range scale {
		if span > 0 {
			sum += math.Abs(a[name]-b[name]) / span
		}
	}
	return sum
}

// ranges are the weighted quartiles of each parameter.
func ranges(candidates []Candidate) []ParamRange {
	all := []ParamRange{}
	for _, name := range slices.Sorted(maps.Keys(candidates[0].Params)) {
		sorted := slices.Clone(candidates)
		slices.SortStableFunc(sorted, func(a, b Candidate) int { return cmp.Compare(a.Params[name], b.Params[name]) })
		all = append(all, ParamRange{name, quantile(sorted, name, 0.25), quantile(sorted, name, 0.5), quantile(sorted, name, 0.75)})
	}
	return all
}

// quantile is the first value at which that share of the weight is reached.
func quantile(sorted []Candidate, name string, share float64) float64 {
	var total, reached float64
	for _, c := range sorted {
		total += c.weight()
	}
	for _, c := range sorted {
		if reached += c.weight(); reached >= share*total {
			return c.Params[name]
		}
	}
	return sorted[len(sorted)-1].Params[name]
}

// suggest relaxes each axis alone, just so far that three more candidates come in, or all there are.
// Axes that would admit no candidate are left out; the most promising come first.
func suggest(all []Candidate, terms Terms) []Relaxation {
	met := len(terms.admit(all))
	suggestions := []Relaxation{}
	for _, axis := range Axes() {
		var figures []float64
		from, _, atLeast := terms.limit(axis, Candidate{})
		for _, c := range all {
			if failed := terms.fails(c); len(failed) == 1 && failed[0] == axis {
				if _, figure, _ := terms.limit(axis, c); !math.IsNaN(figure) && !math.IsInf(figure, 0) {
					figures = append(figures, figure)
				}
			}
		}
		if len(figures) == 0 {
			continue
		}
		slices.Sort(figures)
		if atLeast {
			slices.Reverse(figures)
		}
		to := figures[min(len(figures), enoughForAny)-1]
		admits := 0
		for _, figure := range figures {
			if atLeast && figure >= to || !atLeast && figure <= to {
				admits++
			}
		}
		suggestions = append(suggestions, Relaxation{axis, from, to, met + admits})
	}
	slices.SortStableFunc(suggestions, func(a, b Relaxation) int { return cmp.Compare(b.Admits, a.Admits) })
	return suggestions
}
