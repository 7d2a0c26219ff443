package storetest

import (
	"net/http"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/tuning"
)

// Alone ends what earlier rounds have left, so that the workspace's cap has room.
func (d *Fixture) Alone(limit int) {
	d.T.Helper()
	d.Exec(`update tunes set status = 'canceled', completed_at = now() where status in ('queued', 'running')`)
	d.Exec(`update wfo_runs set status = 'canceled', completed_at = now() where status in ('pending', 'running')`)
	d.Exec(`update run_plans set status = 'canceled', completed_at = now() where status = 'running'`)
	d.Exec(`update workspaces set tune_cap = $1`, limit)
}

// ToCollect takes a tune to where it is ranked, and returns the lease of the job that ranks.
func (d *Fixture) ToCollect(id uuid.UUID) store.Lease {
	d.T.Helper()
	ctx := d.T.Context()
	require.NoError(d.T, d.Store.Tuning.Begin(ctx, d.Claim(d.PlanJob(id), "w"), id, tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
	require.NoError(d.T, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(id, 0), "w"), id, tuning.ShardDone{Completed: 4, Columns: []byte{1}}))
	return d.Claim(d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, id), "w")
}

// ShardJob is the job of a tune's shard.
func (d *Fixture) ShardJob(id uuid.UUID, shard int) int64 {
	d.T.Helper()
	return d.JobOf(`select job_id from tune_shards where tune_id = $1 and shard = $2`, id, shard)
}

// Tune submits a tune of four trials and returns it with its plan job.
func (d *Fixture) Tune(key string) (*tuning.Tune, int64) {
	d.T.Helper()
	tune, err := d.Submit(key)
	require.NoError(d.T, err)
	return tune, d.PlanJob(tune.ID)
}

// Submit submits a tune of four trials. It may be called from any goroutine.
func (d *Fixture) Submit(key string) (*tuning.Tune, error) {
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
	spec.Normalize()
	var tune *tuning.Tune
	_, err := d.Store.Tuning.Create(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: key},
		tuning.NewTune{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Trials: 4},
		func(t *tuning.Tune) (store.Response, error) {
			tune = t
			return store.Response{Status: http.StatusAccepted}, nil
		})
	return tune, err
}

// TuneStatus is the status of a tune.
func (d *Fixture) TuneStatus(id uuid.UUID) tuning.Status {
	d.T.Helper()
	tune, err := d.Store.Tuning.Get(d.T.Context(), d.Space.ID, id)
	require.NoError(d.T, err)
	return tune.Status
}

// TwoShards cuts the four trials of a tune in two.
func TwoShards() []sweep.Shard {
	return []sweep.Shard{{Index: 0, First: 0, Trials: 2}, {Index: 1, First: 2, Trials: 2, Cursor: 2}}
}

// PlanJob is the job that plans a tune.
func (d *Fixture) PlanJob(tune uuid.UUID) int64 {
	d.T.Helper()
	return d.JobOf(`select plan_job_id from tunes where id = $1`, tune)
}
