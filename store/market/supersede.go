package market

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest"
	"millrace/store"
)

// staleListed is how many of the results that a rewrite makes stale are named.
const staleListed = 100

// Stale is what was computed on bars that were replaced.
type Stale struct {
	Results
	IDs []uuid.UUID // the newest of them
}

// versionEvent is the payload of backtest.dataset.version.
type versionEvent struct {
	Name    string    `json:"name"`
	Version int       `json:"version"`
	Change  Change    `json:"change"`
	Bars    int       `json:"bars"`
	Added   int       `json:"added_bars"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	SHA256  string    `json:"sha256"`
	Note    string    `json:"note,omitempty"`
	Stale   int       `json:"stale_results"`
}

// storeVersion stores a planned version in the place of the one it follows. The lock of that row lets one of
// several through.
func (s *Store) storeVersion(ctx context.Context, tx *store.Tx, workspace uuid.UUID, p *planned) error {
	tag, err := tx.Exec(ctx, `update datasets set superseded = true where workspace_id = $1 and id = $2 and not superseded`, workspace, p.head.ID)
	if err != nil {
		return fmt.Errorf("supersede dataset %s: %w", p.head.ID, err)
	}
	if tag.RowsAffected() == 0 {
		return &RacedError{p.head.Name}
	}
	retired, err := store.RetiredVersion(ctx, tx, workspace, store.VersionedDataset, p.head.Name)
	if err != nil {
		return err
	}
	p.Dataset.Version = max(p.Dataset.Version, retired+1)
	made, err := insertVersion(ctx, tx, workspace, p.Dataset, p.row)
	if err != nil {
		return err
	}
	if !made {
		return fmt.Errorf("version %d of %q: its name %q is another dataset's: %w", p.Dataset.Version, p.Dataset.Name, fullName(p.Dataset.Name, p.Dataset.Version), store.ErrConflict)
	}
	if err := store.CheckQuota(ctx, tx, workspace, store.Added{Bytes: int64(len(p.row.data))}); err != nil {
		return err
	}
	if err := keepLabel(ctx, tx, workspace, p.head.ID, p.Dataset.ID); err != nil {
		return err
	}
	p.Dataset.FullName = fullName(p.Dataset.Name, p.Dataset.Version)
	store.AuditChange(ctx, p.head.audited(), p.Dataset.audited())
	if p.row.change == Rewritten {
		if p.Stale, err = staleResults(ctx, tx, workspace, p.Dataset.Name, p.Dataset.Version); err != nil {
			return err
		}
	}
	d := p.Dataset
	if err := s.db.Schedules().NewVersion(ctx, tx, workspace, d.Name, d.ID); err != nil {
		return err
	}
	return store.AppendEvent(ctx, tx, workspace, "backtests", "backtest.dataset.version", d.ID.String(), versionEvent{
		Name: d.Name, Version: d.Version, Change: p.row.change, Bars: d.Bars, Added: p.row.added, From: d.From, To: d.To,
		SHA256: hex.EncodeToString(d.SHA256), Note: p.row.note, Stale: p.Stale.Tunes + p.Stale.WalkForwards + p.Stale.Runs,
	})
}

// staleResults are the results on the versions before one, those that follow their bars inside bars
// of a higher timeframe included.
func staleResults(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, series string, version int) (stale Stale, err error) {
	rows, err := tx.Query(ctx, `
		with old as (select id from datasets where workspace_id = $1 and coalesce(series, name) = $2 and version < $3),
		     results as (
			select 'tune' as kind, id, created_at from tunes t
			 where workspace_id = $1 and wfo_id is null
			   and (dataset_id in (select id from old) or spec ->> 'intrabar_dataset' in (select id::text from old)
			        or exists (select from tune_datasets x where x.tune_id = t.id and x.dataset_id in (select id from old)))
			union all
			select 'wfo', id, created_at from wfo_runs w
			 where workspace_id = $1
			   and (dataset_id in (select id from old) or spec ->> 'intrabar_dataset' in (select id::text from old)
			        or exists (select from wfo_datasets x where x.wfo_id = w.id and x.dataset_id in (select id from old)))
			union all
			select 'run', id, created_at from backtest_runs
			 where workspace_id = $1 and (dataset_id in (select id from old) or spec ->> 'intrabar_dataset' in (select id::text from old)))
		select kind, id, count(*) over (partition by kind) as of_kind from results order by created_at desc, id desc`, workspace, series, version)
	if err != nil {
		return stale, fmt.Errorf("find stale results: %w", err)
	}
	var kind string
	var id uuid.UUID
	var count int
	of := map[string]*int{"tune": &stale.Tunes, "wfo": &stale.WalkForwards, "run": &stale.Runs}
	_, err = pgx.ForEachRow(rows, []any{&kind, &id, &count}, func() error {
		*of[kind] = count
		if len(stale.IDs) < staleListed {
			stale.IDs = append(stale.IDs, id)
		}
		return nil
	})
	if err != nil {
		return stale, fmt.Errorf("find stale results: %w", err)
	}
	return stale, nil
}

// keepLabel has a version go on with the name, note and tags of the one before.
func keepLabel(ctx context.Context, tx *store.Tx, workspace, from, to uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		insert into labels (subject_id, workspace_id, kind, name, note, tags)
		select $3, workspace_id, kind, name, note, tags from labels where workspace_id = $1 and subject_id = $2`, workspace, from, to)
	if err != nil {
		return fmt.Errorf("keep the label of dataset %s: %w", from, err)
	}
	return nil
}

// audited is what the audit log keeps of a version.
func (d *Dataset) audited() map[string]any {
	return map[string]any{
		"name": d.FullName, "version": d.Version, "bars": d.Bars, "to": d.To.UTC(), "sha256": hex.EncodeToString(d.SHA256), "calendar": int(d.Calendar),
		"periods_per_year": d.PeriodsPerYear, "time_zone": d.TimeZone, "session": d.Session, "tick_size": d.TickSize,
		"quantity_step": d.QuantityStep, "point_value": d.PointValue, "currency": d.Currency,
	}
}

// Description is what is known of a dataset's instrument, to be changed where it is not nil.
type Description struct {
	Calendar                                           *backtest.Calendar
	PeriodsPerYear, TickSize, QuantityStep, PointValue *float64
	TimeZone, Session, Currency                        *string
}

// apply changes what is stated. Periods a year that followed from the calendar and the days follow from the
// new ones.
func (c Description) apply(d *Dataset, bars *backtest.Bars) {
	in := &d.Instrument
	derived := func() float64 {
		unstated := *in
		unstated.PeriodsPerYear = 0
		found, _, _ := bars.Describe(unstated, d.Calendar)
		return found.PeriodsPerYear
	}
	follows := in.PeriodsPerYear == derived()
	set(&d.Calendar, c.Calendar)
	set(&in.TimeZone, c.TimeZone)
	set(&in.Session, c.Session)
	set(&in.Currency, c.Currency)
	set(&in.TickSize, c.TickSize)
	set(&in.QuantityStep, c.QuantityStep)
	set(&in.PointValue, c.PointValue)
	if follows && c.PeriodsPerYear == nil && len(in.Validate()) == 0 {
		in.PeriodsPerYear = derived()
	}
	set(&in.PeriodsPerYear, c.PeriodsPerYear)
}

func set[T any](into, value *T) {
	if value != nil {
		*into = *value
	}
}

// Describe stores another description of the newest version's bars as the next version; made is false when
// it is that already. check sees it before it is stored.
func (s *Store) Describe(ctx context.Context, workspace uuid.UUID, idOrName string, c Description, check func(*Dataset) error) (next Dataset, made bool, err error) {
	head, err := s.newest(ctx, workspace, idOrName)
	if err != nil {
		return head, false, err
	}
	bars, _, err := s.Bars(ctx, workspace, head.ID)
	if err != nil {
		return head, false, err
	}
	next = head
	c.apply(&next, bars)
	if err := check(&next); err != nil {
		return head, false, err
	}
	if next.Calendar == head.Calendar && next.Instrument == head.Instrument {
		return head, false, nil
	}
	if next.ID, err = uuid.NewV7(); err != nil {
		return head, false, fmt.Errorf("dataset id: %w", err)
	}
	next.Version++
	p := planned{Extended: Extended{Dataset: next}, head: head, row: version{
		change: Redescribed, base: &head.ID, data: []byte{}, lastClose: &bars.Close[bars.Len()-1],
	}}
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		if err := s.storeVersion(ctx, tx, workspace, &p); err != nil {
			return err
		}
		next, err = readDataset(ctx, tx, workspace, next.ID.String())
		return err
	})
	return next, err == nil, err
}
