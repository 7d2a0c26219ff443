package sweep

import (
	"cmp"
	"math"
	"slices"

	"millrace/jobs/backtest"
)

// surveyTrials bounds the sample of a Survey: charts and shares of so many trials say what those of all do.
const surveyTrials = 20_000

// Survey looks at every trial of a tune once, while it runs too: which was the best so far, which
// parameters the score depends on, and a sample to draw. Its memory does not grow with the tune.
type Survey struct {
	spec    Spec
	every   uint64
	names   []string
	sample  []SurveyTrial
	history []BestSoFar
	trials  int
}

// SurveyTrial is a trial with a score that is in the sample. Params are in the order of Names.
type SurveyTrial struct {
	Index      int
	Params     []float64
	Score      float64 // that trials are ranked by
	IS, OOS    float64 // NaN when undefined, or without a split
	Admissible bool    // it passed the gates
}

// BestSoFar is a trial that was better than all before it, by number.
type BestSoFar struct {
	Trial int
	Score float64
}

// NewSurvey begins a survey of a tune of so many trials.
func NewSurvey(spec Spec, trials int) *Survey {
	return &Survey{spec: spec.normalized(), every: uint64(max(1, (trials+surveyTrials-1)/surveyTrials))}
}

// Add looks at a shard's trials. Shards come in order.
func (s *Survey) Add(c *Columns) {
	if s.names == nil {
		s.names = c.names
	}
	is, oos := c.Scores()
	for i, v := range c.cols.verdicts {
		score := s.spec.selection(is[i], oos[i])
		if v == panicked || !isFinite(score) {
			continue
		}
		index := c.shard.First + i
		s.trials++
		better := v == passed && (len(s.history) == 0 || score > s.history[len(s.history)-1].Score)
		if better {
			s.history = append(s.history, BestSoFar{Trial: index, Score: score})
		}
		if !better && scatter(uint64(index))%s.every != 0 {
			continue
		}
		point := make(backtest.Params, len(c.names))
		c.cols.point(i, point)
		t := SurveyTrial{Index: index, Params: point, Score: score, IS: is[i], OOS: math.NaN(), Admissible: v == passed}
		if s.spec.split() {
			t.OOS = oos[i]
		}
		s.sample = append(s.sample, t)
	}
}

// scatter spreads numbers so that a share of them is a sample: every n-th trial of a grid would have the
// same values of its last parameters again and again.
func scatter(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// Names are the strategy's parameters, in order.
func (s *Survey) Names() []string { return s.names }

// Trials is how many have a score.
func (s *Survey) Trials() int { return s.trials }

// Sample are the trials to draw: all of a small tune.
func (s *Survey) Sample() []SurveyTrial { return s.sample }

// History are the trials that were best so far, by number.
func (s *Survey) History() []BestSoFar { return s.history }

// Importance is how much of the scores' variance one parameter explains by itself.
type Importance struct {
	Name   string
	Share  float64 // of the variance that all parameters explain each by itself; they add up to 1
	Effect float64 // of the scores' whole variance, from 0 to 1
}

// Importance measures the main effects of a functional analysis of variance (Sobol 1993; Hutter, Hoos and
// Leyton-Brown 2014): the variance over a parameter's values of the mean score at each, less what chance
// makes of means of so few trials, over the variance of all scores. What parameters do only together is in
// none of them. The most important comes first; parameters that do not vary are left out.
func (s *Survey) Importance() []Importance {
	var all []Importance
	total := 0.0
	scores := make([]float64, len(s.sample))
	for i, t := range s.sample {
		scores[i] = t.Score
	}
	for k, name := range s.names {
		values := make([]float64, len(s.sample))
		for i, t := range s.sample {
			values[i] = t.Params[k]
		}
		effect, varies := mainEffect(values, scores)
		if !varies {
			continue
		}
		all = append(all, Importance{Name: name, Effect: effect})
		total += effect
	}
	for i := range all {
		if total > 0 {
			all[i].Share = all[i].Effect / total
		}
	}
	slices.SortStableFunc(all, func(a, b Importance) int { return cmp.Compare(b.Effect, a.Effect) })
	return all
}

// effectGroups is how many groups the values of a parameter are put in at most.
const effectGroups = 24

// mainEffect is the share of the scores' variance that lies between groups of like values, without the
// part that chance has in it (ε², Kelley 1935).
func mainEffect(values, scores []float64) (effect float64, varies bool) {
	n := len(values)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	distinct := 0
	for i := range order {
		if i == 0 || values[order[i]] != values[order[i-1]] {
			distinct++
		}
	}
	if distinct < 2 {
		return 0, false
	}
	mean := 0.0
	for _, v := range scores {
		mean += v / float64(n)
	}
	whole := 0.0
	for _, v := range scores {
		whole += float64((v - mean) * (v - mean))
	}
	between, groups := 0.0, 0
	least := 1
	if distinct > effectGroups {
		least = max(2, (n+effectGroups-1)/effectGroups)
	}
	for from := 0; from < n; {
		to := from + 1
		for to < n && (to-from < least || values[order[to]] == values[order[to-1]]) {
			to++
		}
		sum := 0.0
		for _, i := range order[from:to] {
			sum += scores[i] - mean
		}
		between += float64(sum*sum) / float64(to-from)
		groups++
		from = to
	}
	if !(whole > 0) || groups < 2 {
		return 0, true
	}
	if n <= groups {
		return between / whole, true // a group a trial: nothing says what chance is
	}
	chance := float64((whole - between) / float64(n-groups) * float64(groups-1))
	return min(max((between-chance)/whole, 0), 1), true
}
