package console

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"millrace/api/console/chart"
	"millrace/jobs/sweep"
)

// Limits of what the tune page draws, so that it is small whatever the tune.
const (
	mostSlices = 6  // parameters, the most important first
	mostLanes  = 12 // of the parallel coordinates
	mostLines  = 300
	topLines   = 20
)

// explored is what the page shows of all trials: which was best when, what matters, and where the good
// ones lie.
type explored struct {
	History    *chart.Plot
	Importance []sweep.Importance
	Slices     []template.HTML
	Parallel   template.HTML
	Left       int // parameters that have no slice
	Best       *sweep.BestSoFar
	Trials     int
}

// explore draws what a survey found.
func explore(s *sweep.Survey, at string) *explored {
	e := &explored{Importance: s.Importance(), Trials: s.Trials()}
	if e.Trials == 0 {
		return nil
	}
	if h := s.History(); len(h) > 0 {
		e.Best = &h[len(h)-1]
		e.History = history(h, s.Sample())
	}
	sample := slices.Clone(s.Sample())
	slices.SortStableFunc(sample, func(a, b sweep.SurveyTrial) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return a.Index - b.Index
	})
	for _, i := range e.Importance[:min(mostSlices, len(e.Importance))] {
		e.Slices = append(e.Slices, slice(s.Names(), i.Name, sample, at))
	}
	e.Left = max(len(e.Importance)-mostSlices, 0)
	e.Parallel = parallel(s.Names(), e.Importance, sample, at)
	return e
}

// history is the best score so far by number of trial, to the last trial that is known.
func history(h []sweep.BestSoFar, sample []sweep.SurveyTrial) *chart.Plot {
	s := chart.Source{Plot: chart.Plot{ID: "history", Title: "Best score so far, by trial", Height: 180, Numeric: true}}
	line := chart.PlotLine{Name: "best so far", Class: "s1"}
	add := func(trial int, score float64) {
		s.Micros, line.Values = append(s.Micros, int64(trial)*1_000_000), append(line.Values, score)
	}
	for i, b := range h {
		if i > 0 && b.Trial > h[i-1].Trial+1 {
			add(b.Trial-1, h[i-1].Score) // the line is flat up to the step
		}
		add(b.Trial, b.Score)
	}
	if last := sample[len(sample)-1].Index; last > h[len(h)-1].Trial {
		add(last, h[len(h)-1].Score)
	}
	s.Lines = []chart.PlotLine{line}
	p := s.Part(0, 0)
	return &p
}

// pointText is what is read of a trial.
func pointText(names []string, t sweep.SurveyTrial) string {
	values := make(map[string]float64, len(names))
	for i, name := range names {
		values[name] = t.Params[i]
	}
	text := fmt.Sprintf("trial %d · %s · score %s", t.Index, paramText(values), chart.Short(t.Score))
	if len(names) > 6 {
		text = fmt.Sprintf("trial %d · score %s", t.Index, chart.Short(t.Score))
	}
	return text
}

// slice is the score over one parameter.
func slice(names []string, name string, sample []sweep.SurveyTrial, at string) template.HTML {
	k := slices.Index(names, name)
	of := chart.Cloud{
		ID: "slice-" + fmt.Sprint(k), Label: "Score over " + name, XName: name, YName: "score", Small: true, Href: at, MarkX: math.NaN(), MarkY: math.NaN(),
		Better: func(a, b int) bool { return a < b }, Text: func(i int) string { return pointText(names, sample[i]) },
	}
	for _, t := range sample {
		of.X, of.Y, of.Trial = append(of.X, t.Params[k]), append(of.Y, t.Score), append(of.Trial, t.Index)
	}
	return chart.Scatter(of)
}

// parallel draws the best trials, and a share of the others, across the parameters and the score.
func parallel(names []string, importance []sweep.Importance, sample []sweep.SurveyTrial, at string) template.HTML {
	if len(importance) == 0 {
		return "" // no parameter varies
	}
	var lines []sweep.SurveyTrial
	for i, t := range sample {
		if i < topLines || i%(max(len(sample)/mostLines, 1)) == 0 {
			lines = append(lines, t)
		}
	}
	var lanes []chart.Lane
	for _, i := range importance[:min(mostLanes, len(importance))] {
		lane, k := chart.Lane{Name: i.Name}, slices.Index(names, i.Name)
		for _, t := range lines {
			lane.Values = append(lane.Values, t.Params[k])
		}
		lanes = append(lanes, lane)
	}
	score := chart.Lane{Name: "score"}
	trial := make([]int, len(lines))
	for i, t := range lines {
		score.Values, trial[i] = append(score.Values, t.Score), t.Index
	}
	return chart.Parallel("parallel", "Parameters and score of trials, the best pointed out", append(lanes, score), topLines,
		func(i int) string { return pointText(names, lines[i]) }, trial, at)
}
