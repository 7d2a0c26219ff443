package tune_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/worker/tune"
	"millrace/store"
)

// numbered is a worker of an engine of another number.
func numbered(engine string) tune.Options {
	return tune.Options{
		ShardTime: 200 * time.Microsecond, StampPause: 500 * time.Millisecond,
		Program: backtest.Stamp{Engine: engine, Semantics: "1"},
	}
}

// under waits until some trials of a tune are done and not all.
func (f *fixture) under(id uuid.UUID) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		got, err := f.store.Tuning.Get(f.t.Context(), f.space.ID, id)
		return err == nil && got.Progress.Done() > 10
	}, time.Minute, time.Millisecond)
}

// engines are those of a tune and of its shards that have ended.
func (f *fixture) engines(id uuid.UUID) (tune string, shards []string) {
	f.t.Helper()
	err := f.store.InWorkspace(f.t.Context(), f.space.ID, func(tx *store.Tx) error {
		return tx.QueryRow(f.t.Context(), `
			select coalesce(engine, ''), (select array_agg(distinct coalesce(engine, 'none')) from tune_shards where tune_id = $1 and done) from tunes where id = $1`, id).
			Scan(&tune, &shards)
	})
	require.NoError(f.t, err)
	return tune, shards
}

// A worker of a later engine begins a tune again that an older one began: no tune has trials of both.
func TestALaterEngineBeginsATuneAgain(t *testing.T) {
	f := newFixture(t)
	spec := learning()["several datasets"]
	old := f.work(1, numbered("98"))
	id := f.submit("mixed", spec)
	f.under(id)
	f.work(1, numbered("99")) // beside the old one, which continues
	require.Eventually(t, func() bool {
		engine, shards := f.engines(id)
		return engine == "99" && len(shards) > 0
	}, time.Minute, 10*time.Millisecond)
	old() // it took shards only to put them back, which costs the tune a pause each
	f.result(id)
	engine, shards := f.engines(id)
	require.Equal(t, "99", engine)
	require.Equal(t, []string{"99"}, shards)
	got, err := f.store.Tuning.Get(t.Context(), f.space.ID, id)
	require.NoError(t, err)
	require.NotNil(t, got.RestartedFrom)
	require.Equal(t, "98", *got.RestartedFrom)

	alone := f.submit("alone", spec)
	require.Equal(t, f.result(alone), f.result(id), "what was given up left nothing")
}

// leaving is a worker of an engine that leaves tunes to older ones while they are heard.
func leaving(engine string) tune.Options {
	opts := numbered(engine)
	opts.LeaveOlder, opts.StampPause = true, 20*time.Millisecond
	return opts
}

// leftBy waits until workers of another engine have left a tune alone.
func (f *fixture) leftBy(id uuid.UUID, engine string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		got, err := f.store.Tuning.Get(f.t.Context(), f.space.ID, id)
		return err == nil && got.LeftBy != nil && *got.LeftBy == engine
	}, time.Minute, time.Millisecond)
}

// A tune is left to the engine that began it while a worker of it is heard, and begun again when none is.
func TestATuneIsLeftToItsEngineWhileAWorkerOfItIsHeard(t *testing.T) {
	f := newFixture(t)
	spec := learning()["several datasets"]
	old := f.work(1, numbered("98"))
	id := f.submit("left", spec)
	f.under(id)
	later := f.work(1, leaving("99"))
	f.leftBy(id, "99")
	later()
	finished := f.result(id)
	engine, shards := f.engines(id)
	require.Equal(t, "98", engine, "its own engine finishes it")
	require.Equal(t, []string{"98"}, shards)
	got, err := f.store.Tuning.Get(t.Context(), f.space.ID, id)
	require.NoError(t, err)
	require.Nil(t, got.RestartedFrom)

	again := f.submit("begun again", spec)
	f.under(again)
	f.work(1, leaving("99"))
	f.leftBy(again, "99")
	old()
	require.Equal(t, finished, f.result(again), "what was given up left nothing")
	engine, shards = f.engines(again)
	require.Equal(t, "99", engine)
	require.Equal(t, []string{"99"}, shards)
	got, err = f.store.Tuning.Get(t.Context(), f.space.ID, again)
	require.NoError(t, err)
	require.Nil(t, got.LeftBy, "nobody leaves it any more")
	require.Equal(t, "98", *got.RestartedFrom)
}
