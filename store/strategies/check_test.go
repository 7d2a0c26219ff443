package strategies_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/storetest"
	"millrace/store/strategies"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

const crossScript = `//@version=6
strategy("Cross")
fast = input.int(10, "Fast", minval=1, maxval=50)
if ta.crossover(ta.sma(close, fast), ta.sma(close, 60))
    strategy.entry("L", strategy.long)
`

// put stores a script, which is then to be examined.
func put(d *storetest.Fixture, name, source string) strategies.Script {
	d.T.Helper()
	var made strategies.Script
	_, err := d.Store.Strategies.Put(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: uuid.NewString()}, name, source,
		strategies.Report{Title: "Cross", Semantics: pine.Semantics},
		func(s *strategies.Script) (store.Response, error) { made = *s; return store.Response{Status: 201}, nil })
	require.NoError(d.T, err)
	return made
}

// lease claims the job that examines a script.
func lease(d *storetest.Fixture, id uuid.UUID) store.Lease {
	return d.Claim(d.JobOf(`select check_job_id from strategies where id = $1`, id), "w")
}

func TestAnExaminationEndsInTheStatusOfWhatItFound(t *testing.T) {
	t.Parallel()
	for status, found := range map[strategies.Status]backtest.Examination{
		strategies.Ready:    {Runs: 3, Complete: true, Warnings: []string{"no trade"}},
		strategies.Unstable: {Runs: 3, Problems: []string{"it looks ahead"}},
		strategies.Refused:  {Runs: 1, Refusal: "line 4: an endless loop"},
	} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			made := put(d, "cross", crossScript)
			require.Equal(t, strategies.Checking, made.Status)
			require.Nil(t, made.CheckedAt)
			_, program, err := d.Store.Strategies.ToCheck(t.Context(), d.Space.ID, made.ID)
			require.NoError(t, err)
			require.NotNil(t, program)
			held := lease(d, made.ID)
			require.NoError(t, d.Store.Strategies.FinishCheck(t.Context(), held, made.ID, found))
			script, err := d.Store.Strategies.Get(t.Context(), d.Space.ID, made.ID)
			require.NoError(t, err)
			require.Equal(t, status, script.Status)
			require.NotNil(t, script.CheckedAt)
			require.Equal(t, found, script.Report.Examination)
			require.Equal(t, "Cross", script.Report.Title, "what compiling found stays")
			require.Equal(t, []string{"backtest.strategy." + string(status)}, d.EventTypes(made.ID))
			require.ErrorIs(t, d.Store.Strategies.FinishCheck(t.Context(), held, made.ID, found), store.ErrFenced, "it ends once")
			_, _, err = d.Store.Strategies.ToCheck(t.Context(), d.Space.ID, made.ID)
			require.ErrorIs(t, err, store.ErrEnded)

			// The same text again: one that was refused is examined again, any other is what it was.
			again := put(d, "cross", crossScript)
			require.Equal(t, made.ID, again.ID)
			want := status
			if status == strategies.Refused {
				want = strategies.Checking
			}
			require.Equal(t, want, again.Status)
		})
	}
}

// spec pins a script.
func spec(d *storetest.Fixture, name string) sweep.Spec {
	d.T.Helper()
	s := sweep.Spec{StrategyName: name}
	require.NoError(d.T, d.Store.Strategies.Bind(d.T.Context(), d.Space.ID, &s))
	return s
}

// works are all that names a script: created with a callback that runs in the transaction.
func works(d *storetest.Fixture, s sweep.Spec) map[string]func(inTx func()) error {
	sub := func() store.Submission {
		return store.Submission{Workspace: d.Space.ID, Route: "test", Key: uuid.NewString()}
	}
	answer := store.Response{Status: 202}
	config := sweep.WFOConfig{MinFolds: new(int), LeaderboardTopK: new(int), AllowPartial: new(bool)}
	*config.MinFolds, *config.LeaderboardTopK = 1, 1
	return map[string]func(func()) error{
		"tune": func(inTx func()) error {
			_, err := d.Store.Tuning.Create(d.T.Context(), sub(), tuning.NewTune{DatasetID: d.Dataset.ID, Dataset: "walk", Spec: s, Trials: 1},
				func(*tuning.Tune) (store.Response, error) { inTx(); return answer, nil })
			return err
		},
		"walk-forward": func(inTx func()) error {
			_, err := d.Store.WalkForward.Create(d.T.Context(), sub(), walkforward.NewRun{DatasetID: d.Dataset.ID, Dataset: "walk", Spec: s, Config: config,
				Folds: []sweep.Fold{{}}, Trials: 1}, func(*walkforward.Run, []walkforward.Fold) (store.Response, error) { inTx(); return answer, nil })
			return err
		},
		"run": func(inTx func()) error {
			_, err := d.Store.Market.PutRun(d.T.Context(), sub(), market.Run{DatasetID: d.Dataset.ID, Dataset: "walk", Strategy: s.StrategyName, Script: s.Script, Spec: []byte(`{}`), Equity: []float64{1}},
				func(*market.Run) (store.Response, error) { inTx(); return answer, nil })
			return err
		},
	}
}

// A script is deleted while work that names it is being stored, before or after its commit: what is stored finds
// the script's text, and what is not stored says that the script is gone.
func TestWorkNeverNamesAScriptThatWasDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"tune", "walk-forward", "run"} {
		t.Run(what+" first", func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			made := put(d, "cross", crossScript)
			pinned := spec(d, "pine:cross")
			erased := make(chan error, 1)
			require.NoError(t, works(d, pinned)[what](func() {
				go func() { erased <- d.Store.Lifecycle.EraseScript(t.Context(), d.Space.ID, made.ID, false) }()
				d.AwaitBlocked()
			}))
			require.NoError(t, <-erased)
			_, err := d.Store.Strategies.Get(t.Context(), d.Space.ID, made.ID)
			require.ErrorIs(t, err, store.ErrNotFound)
			require.NoError(t, d.Store.Strategies.Bind(t.Context(), d.Space.ID, &pinned), "the work still finds the text that it pins")
		})
		t.Run("deletion first, then "+what, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			made := put(d, "cross", crossScript)
			create := works(d, spec(d, "pine:cross"))[what]
			deletion := d.Open(`delete from strategies where id = '` + made.ID.String() + `'`)
			created := make(chan error, 1)
			go func() { created <- create(func() {}) }()
			d.AwaitBlocked()
			require.NoError(t, deletion.Commit(t.Context()))
			err := <-created
			require.ErrorIs(t, err, store.ErrNotFound)
			var gone *store.ScriptGoneError
			require.True(t, errors.As(err, &gone))
			require.Equal(t, "cross@1", gone.Name)
			require.Zero(t, d.Count(`select (select count(*) from tunes) + (select count(*) from wfo_runs) + (select count(*) from backtest_runs)`))
		})
	}
}

// A script that is refused while a tune of it is being stored is not tuned; a single run of it may be made.
func TestARefusedScriptIsNotTuned(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	made := put(d, "cross", crossScript)
	pinned := spec(d, "pine:cross")
	require.NoError(t, d.Store.Strategies.FinishCheck(t.Context(), lease(d, made.ID), made.ID, backtest.Examination{Refusal: "line 4: an endless loop"}))
	for _, what := range []string{"tune", "walk-forward"} {
		err := works(d, pinned)[what](func() {})
		var refused *store.RefusedScriptError
		require.True(t, errors.As(err, &refused), "%s: %v", what, err)
		require.Equal(t, "cross@1", refused.Name)
		require.Contains(t, refused.Reason, "endless loop")
	}
	require.NoError(t, works(d, pinned)["run"](func() {}))
	pending, err := d.Store.Strategies.Pending(t.Context(), d.Space.ID, pinned.Script)
	require.False(t, pending)
	require.ErrorContains(t, err, "endless loop")
}

// A number that a deleted script had must not come to stand for another text.
func TestTheNumberOfADeletedScriptIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	first := put(d, "cross", crossScript)
	require.Equal(t, 1, first.Version)
	require.NoError(t, d.Store.Lifecycle.EraseScript(t.Context(), d.Space.ID, first.ID, false))
	require.Zero(t, d.Count(`select count(*) from strategies`))
	require.Equal(t, 2, put(d, "cross", crossScript+"\n// changed").Version)
	require.Equal(t, 1, put(d, "other", crossScript).Version)
}
