package sweep

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Our shares of importance are near those of Optuna's fANOVA on the same trials, and in the same order.
func TestImportanceIsNearOptunas(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/fanova_optuna.json")
	require.NoError(t, err)
	var file struct {
		Cases map[string]struct {
			Names  []string           `json:"names"`
			Rows   [][]float64        `json:"rows"`
			Optuna map[string]float64 `json:"optuna"`
		} `json:"cases"`
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	require.Len(t, file.Cases, 3)
	for name, c := range file.Cases {
		s := &Survey{names: c.Names}
		for _, row := range c.Rows {
			s.sample = append(s.sample, SurveyTrial{Params: row[:len(c.Names)], Score: row[len(c.Names)]})
		}
		sum := 0.0
		for _, i := range s.Importance() {
			t.Logf("%s %s: ours %.3f, Optuna %.3f", name, i.Name, i.Share, c.Optuna[i.Name])
			require.InDelta(t, c.Optuna[i.Name], i.Share, 0.06, "%s: %s", name, i.Name)
			sum += i.Share
		}
		require.InDelta(t, 1, sum, 1e-9)
	}
}

func surveyOf(t *testing.T, spec Spec, p *Plan, size int) *Survey {
	t.Helper()
	shards := p.Shards(size)
	results := runAll(t, p, shards)
	s := NewSurvey(spec, p.Trials())
	for i, sh := range shards {
		c, err := OpenColumns(spec, sh, results[i].columns)
		require.NoError(t, err)
		s.Add(c)
	}
	return s
}

func TestASurveyFollowsTheBestAndSamples(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	p := plan(t, spec, randomWalk(t, 1500, 3))
	s := surveyOf(t, spec, p, 7)
	out := collect(t, p, 7)
	require.Equal(t, *out.BestScore, s.History()[len(s.History())-1].Score)
	require.True(t, slices.IsSortedFunc(s.History(), func(a, b BestSoFar) int { return a.Trial - b.Trial }))
	for i := 1; i < len(s.History()); i++ {
		require.Greater(t, s.History()[i].Score, s.History()[i-1].Score)
	}
	require.Equal(t, s, surveyOf(t, spec, p, 3), "it depends on the shards")
	for _, i := range s.Importance() {
		require.False(t, math.IsNaN(i.Share))
		require.Contains(t, []string{"fast", "slow"}, i.Name)
	}
	few := surveyOf(t, spec, p, 7)
	few.every = 4
	require.LessOrEqual(t, len(few.Sample()), p.Trials())
}

func TestImportanceOfNothingIsNothing(t *testing.T) {
	t.Parallel()
	s := &Survey{names: []string{"a", "b"}}
	require.Empty(t, s.Importance())
	s.sample = []SurveyTrial{{Params: []float64{1, 1}, Score: 2}}
	require.Empty(t, s.Importance(), "one trial says nothing")
	s.sample = append(s.sample, SurveyTrial{Params: []float64{2, 1}, Score: 2})
	require.Equal(t, []Importance{{Name: "a"}}, s.Importance(), "scores that are alike depend on nothing")
}

func TestTrialsAreChosenByConditionAndOrder(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	p := plan(t, spec, randomWalk(t, 1500, 3))
	shards := p.Shards(7)
	results := runAll(t, p, shards)
	choose := func(choice Choice) *Chooser {
		c, fault := NewChooser(spec, choice)
		require.Nil(t, fault)
		for i, sh := range shards {
			cols, err := OpenColumns(spec, sh, results[i].columns)
			require.NoError(t, err)
			c.Add(cols)
		}
		return c
	}
	all := choose(Choice{})
	require.Len(t, all.Trials(), p.Trials())
	best := choose(Choice{Where: "fast < 20 and trades_oos >= 3", Order: "-score_oos"})
	require.Less(t, best.Matched(), p.Trials())
	require.Len(t, best.Trials(), best.Matched())
	for i, trial := range best.Trials() {
		require.Less(t, trial.Params["fast"], 20.0)
		require.GreaterOrEqual(t, *trial.TradesOOS, 3)
		if i > 0 && trial.ScoreOOS != nil {
			require.LessOrEqual(t, *trial.ScoreOOS, *best.Trials()[i-1].ScoreOOS)
		}
	}
	page := choose(Choice{Where: "fast < 20 and trades_oos >= 3", Order: "-score_oos", From: 2, Limit: 3})
	require.Equal(t, best.Trials()[2:5], page.Trials())
	require.Equal(t, best.Matched(), page.Matched())
	require.Empty(t, choose(Choice{Status: StatusFailed}).Trials())
	require.Equal(t, all.Trials()[5:9], choose(Choice{From: 5, Limit: 4}).Trials())
	for part, choice := range map[string]Choice{"where": {Where: "fast <"}, "order": {Order: "colour"}} {
		_, fault := NewChooser(spec, choice)
		require.NotNil(t, fault)
		require.Equal(t, part, fault.Field)
	}
}
