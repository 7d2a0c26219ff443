package evidence

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sound are findings that every check passes.
func sound() Findings {
	return Findings{
		PValue: 0.01, DSR: 0.99, Statistic: 4, Critical: 2.5, Periods: 2000, PeriodsPerYear: 252, SR: 0.1,
		OutOfSample: 0.09, OutPeriods: 800, PathLoss: 0, Stability: 0.9, BreakEven: 5, Permuted: math.NaN(),
	}
}

// A best trial that passes a test for luck is not called luck because another test fails, however long its bars.
func TestTestsThatDisagreeAreNotCalledLuck(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Findings){
		"SPA passes":                 func(f *Findings) { f.DSR = 0.8 },
		"SPA and permutation pass":   func(f *Findings) { f.DSR, f.Permuted = 0.8, 0.005 },
		"deflated ratio passes":      func(f *Findings) { f.PValue = 0.06 },
		"permutation passes":         func(f *Findings) { f.PValue, f.DSR, f.Permuted = 0.06, 0.9, 0.005 },
		"deflated ratio not defined": func(f *Findings) { f.DSR = math.NaN() },
	} {
		f := sound()
		f.Periods = 20_000 // an edge with a Sharpe ratio of 1 a year is found almost surely
		change(&f)
		j := Judge(f)
		require.Greater(t, *j.Power, 0.99, name)
		require.Equal(t, Undecided, j.Verdict, name)
		require.Contains(t, j.Because, "the tests disagree", name)
		require.Contains(t, j.Because, ", but ", name)
	}
	f := sound()
	f.Periods, f.PValue, f.DSR, f.Permuted = 20_000, 0.2, 0.7, 0.3
	j := Judge(f)
	require.Equal(t, Luck, j.Verdict)
	require.Contains(t, j.Because, "would have been found with a probability of 1.00", "luck by power says so")
	f.PValue = 0.6
	require.Contains(t, Judge(f).Because, "more often than not")

	stitched := Stitched{Findings: sound(), FoldLoss: 0.2}
	stitched.Periods, stitched.DSR = 20_000, 0.94
	require.Equal(t, Undecided, JudgeStitched(stitched).Verdict)
	require.Contains(t, JudgeStitched(stitched).Because, "the tests disagree")
}

func TestTestsThatCouldNotRunAreNotTooFewBars(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	f := Findings{PValue: nan, DSR: nan, OutOfSample: nan, PathLoss: nan, Stability: nan, BreakEven: nan, Permuted: nan, PeriodsPerYear: 252}
	for _, j := range []Judgement{Judge(f), JudgeStitched(Stitched{Findings: f, FoldLoss: nan})} {
		require.Equal(t, Undecided, j.Verdict)
		require.Contains(t, j.Because, "could not be run")
	}
}

// Where held-out bars were lost, more bars are not what is missing.
func TestNoMoreBarsAreAdvisedWhereHeldOutOnesWereLost(t *testing.T) {
	t.Parallel()
	f := sound()
	f.PValue, f.DSR, f.Statistic = 0.2, 0.8, 2
	open := strings.Join(Judge(f).Next, "; ")
	require.Contains(t, open, "more periods")
	require.Contains(t, open, "fewer trials")
	for name, change := range map[string]func(*Findings){
		"loses out of sample":       func(f *Findings) { f.OutOfSample = -0.02 },
		"falls by more than chance": func(f *Findings) { f.SR, f.OutOfSample = 0.3, 0.01 },
	} {
		for _, found := range []bool{false, true} {
			lost := f
			if found {
				lost = sound()
			}
			change(&lost)
			j := Judge(lost)
			require.Len(t, j.Next, 1, name)
			require.Contains(t, j.Next[0], "the held-out bars already speak against this one", name)
		}
	}
	f = sound()
	f.BreakEven, f.Stability = 1.5, 0.1
	j := Judge(f)
	require.Len(t, j.Next, 2, "each failed check has its advice")
	require.Contains(t, j.Next[0], "plateau")
	require.Contains(t, j.Next[1], "costs")
}

// Limits that are read on the out-of-sample part choose by it, and the verdict says so.
func TestAVerdictSaysThatLimitsChoseOnTheHeldOutPart(t *testing.T) {
	t.Parallel()
	statement := func(j Judgement) string {
		for _, c := range j.Checks {
			if c.Name == "out_of_sample" {
				return c.Statement
			}
		}
		return ""
	}
	f := sound()
	require.NotContains(t, statement(Judge(f)), "limits")
	f.Excluded = 7
	j := Judge(f)
	require.Contains(t, statement(j), "limits on this part exclude 7 trials, none of which ranks above this one")
	require.NotContains(t, j.Because, "used to choose")
	f.Outranking = 3
	j = Judge(f)
	require.Equal(t, Robust, j.Verdict)
	require.Contains(t, statement(j), "3 of which would rank above this one, so this part helped to choose it")
	require.Contains(t, j.Because, "the out-of-sample part was used to choose it, as limits on that part exclude 3 trials that rank above it")
	require.Contains(t, j.Next, "a walk-forward, or bars that neither ranking nor limits have read")
}

// Two ratios are called deflated: the checks' names keep them apart, and a walk-forward's is not deflated.
func TestChecksSayWhichRatioTheyRead(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Deflated Sharpe ratio of the excess", Judge(sound()).Checks[1].Title)
	j := JudgeStitched(Stitched{Findings: sound(), FoldLoss: 0.2})
	require.Equal(t, "Probabilistic Sharpe ratio of the excess", j.Checks[1].Title)
	require.NotContains(t, strings.ToLower(j.Checks[1].Statement), "deflated")
	for _, c := range append(j.Checks, Judge(sound()).Checks...) {
		require.NotEmpty(t, c.Title)
	}
}
