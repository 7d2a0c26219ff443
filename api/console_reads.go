package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"millrace/api/console"
	"millrace/api/types"
	"millrace/jobs/sweep"
	"millrace/store/eventlog"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/tuning"
	"millrace/store/workers"
)

// consoleReads are the console's reads that no route answers.
type consoleReads struct{ store *stores.Set }

// Workspaces implements console.Reads.
func (r consoleReads) Workspaces(ctx context.Context) ([]console.Workspace, error) {
	all, err := r.visible(ctx)
	if err != nil {
		return nil, err
	}
	shown := make([]console.Workspace, len(all))
	for i, w := range all {
		shown[i] = console.Workspace{ID: w.ID, Name: w.Name, TuneCap: w.TuneCap, CreatedAt: w.CreatedAt}
	}
	return shown, nil
}

// visible are the workspaces that who signed in may see. A request that nobody signed in for sees none.
func (r consoleReads) visible(ctx context.Context) ([]tenants.Workspace, error) {
	v, ok := visitorOf(ctx)
	switch {
	case !ok:
		return nil, nil
	case v.person == nil:
		return r.store.Tenants.Workspaces(ctx)
	}
	own, err := r.store.Tenants.Workspace(ctx, v.person.WorkspaceID)
	if err != nil {
		return nil, err
	}
	return []tenants.Workspace{own}, nil
}

// Workers implements console.Reads.
func (r consoleReads) Workers(ctx context.Context) ([]console.Worker, error) {
	if v, ok := visitorOf(ctx); !ok || v.person != nil {
		return nil, nil
	}
	live, err := r.store.Workers.Live(ctx)
	if err != nil {
		return nil, err
	}
	shown := make([]console.Worker, len(live))
	for i, w := range live {
		shown[i] = console.Worker{Host: w.Host, PID: w.PID, Queues: w.Queues, Running: w.Running, StartedAt: w.StartedAt}
	}
	return shown, nil
}

// Running implements console.Reads.
func (r consoleReads) Running(ctx context.Context, workspace uuid.UUID) (int, error) {
	return r.store.Workers.Running(ctx, workspace)
}

// FailedJobs implements console.Reads.
func (r consoleReads) FailedJobs(ctx context.Context, workspace uuid.UUID, since time.Time, limit int) ([]console.Job, error) {
	failed, err := r.store.Workers.FailedJobs(ctx, workspace, since, limit)
	if err != nil {
		return nil, err
	}
	shown := make([]console.Job, len(failed))
	for i, j := range failed {
		shown[i] = console.Job{ID: j.ID, Kind: j.Kind, State: j.State, Attempt: j.Attempt, LastError: j.LastError, FinalizedAt: &j.At}
	}
	return shown, nil
}

// Jobs implements console.Reads.
func (r consoleReads) Jobs(ctx context.Context, workspace uuid.UUID, of string, id uuid.UUID, limit int) ([]console.Job, error) {
	found, err := r.store.Workers.Jobs(ctx, workspace, of, id, limit)
	if err != nil {
		return nil, err
	}
	return asJobs(found), nil
}

func asJobs(lines []workers.JobLine) []console.Job {
	shown := make([]console.Job, len(lines))
	for i, j := range lines {
		shown[i] = console.Job(j)
	}
	return shown
}

// IngestionJobs implements console.Reads.
func (r consoleReads) IngestionJobs(ctx context.Context, workspace uuid.UUID, ids []string) (map[string]int64, error) {
	return r.store.Library.IngestRiverJobs(ctx, workspace, ids)
}

// Topics implements console.Reads.
func (r consoleReads) Topics() []string { return eventlog.Topics() }

// RecentEvents implements console.Reads.
func (r consoleReads) RecentEvents(ctx context.Context, workspace uuid.UUID, topics []string, limit int) ([]console.Event, string, error) {
	recent, err := r.store.EventLog.Recent(ctx, workspace, topics, limit)
	if err != nil {
		return nil, "", err
	}
	bounds, err := r.store.EventLog.Bounds(ctx)
	if err != nil {
		return nil, "", err
	}
	at := bounds.Floor
	if len(recent) > 0 && at.Before(recent[0].Cursor) {
		at.XID, at.ID = recent[0].Cursor.XID, recent[0].Cursor.ID
	}
	shown := make([]console.Event, len(recent))
	for i, e := range recent {
		shown[i] = console.Event{At: e.At, Topic: e.Topic, Type: e.Type, EntityID: e.EntityID, Payload: e.Payload}
	}
	return shown, at.String(), nil
}

// StoredTune implements console.Reads.
func (r consoleReads) StoredTune(ctx context.Context, workspace, id uuid.UUID) (*console.StoredTune, error) {
	t, err := r.store.Tuning.Get(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	on, err := r.store.Market.Dataset(ctx, workspace, t.DatasetID.String())
	if err != nil {
		return nil, err
	}
	stored := &console.StoredTune{
		ID: t.ID, WorkspaceID: t.WorkspaceID, DatasetID: t.DatasetID, Dataset: t.Dataset, Bars: on.Bars, Spec: t.Spec, Status: types.TuneStatus(t.Status),
	}
	if t.Outcome == nil {
		return stored, nil
	}
	var outcome struct{ Reasons map[string]int }
	if err := json.Unmarshal(t.Outcome, &outcome); err != nil {
		return nil, fmt.Errorf("read the outcome of tune %s: %w", id, err)
	}
	stored.Reasons = outcome.Reasons
	return stored, nil
}

// EachShard implements console.Reads.
func (r consoleReads) EachShard(ctx context.Context, t *console.StoredTune, add func(*sweep.Columns)) error {
	const atOnce = 32
	for from := 0; ; {
		shards, err := r.store.Tuning.TrialShards(ctx, t.WorkspaceID, t.ID, from, atOnce)
		if err != nil {
			return err
		}
		for _, sh := range shards {
			columns, err := sweep.OpenColumns(t.Spec, sh.Shard, sh.Columns)
			if err != nil {
				return fmt.Errorf("open shard %d of tune %s: %w", sh.Shard.Index, t.ID, err)
			}
			add(columns)
			from = sh.Shard.First + sh.Shard.Trials
		}
		if len(shards) < atOnce {
			return nil
		}
	}
}

// Bind implements console.Reads.
func (r consoleReads) Bind(ctx context.Context, t *console.StoredTune) error {
	return r.store.Strategies.Bind(ctx, t.WorkspaceID, &t.Spec)
}

// Series implements console.Reads.
func (r consoleReads) Series(ctx context.Context, t *console.StoredTune) ([]sweep.Series, error) {
	return r.store.Tuning.Series(ctx, &tuning.Tune{
		ID: t.ID, WorkspaceID: t.WorkspaceID, DatasetID: t.DatasetID, Dataset: t.Dataset, Spec: t.Spec,
	})
}
