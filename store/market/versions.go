package market

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// Change is how a version came to be.
type Change string

// The changes: uploaded whole, bars appended, bars written again as after a split, another description.
const (
	Uploaded    Change = "upload"
	Appended    Change = "append"
	Rewritten   Change = "rewrite"
	Redescribed Change = "attributes"
)

// Version is one version of a dataset, with what was computed on it.
type Version struct {
	Dataset
	Change Change
	Added  int    `db:"added_bars"` // by an append
	Note   string // what a rewrite changed
	Stale  bool   // a later version was rewritten: results on this one are of bars that were replaced
	Results
}

// Results counts what was computed on datasets, folds of walk-forwards not among them.
type Results struct{ Tunes, WalkForwards, Runs int }

var versionName = regexp.MustCompile(`^(.+)@([1-9][0-9]{0,8})$`)

// SplitVersion takes NAME@N apart; ok is false for other texts.
func SplitVersion(name string) (series string, version int, ok bool) {
	parts := versionName.FindStringSubmatch(name)
	if parts == nil {
		return "", 0, false
	}
	version, err := strconv.Atoi(parts[2])
	return parts[1], version, err == nil
}

// fullName is the name of one version for good.
func fullName(series string, version int) string {
	if version == 1 {
		return series
	}
	return fmt.Sprintf("%s@%d", series, version)
}

// version is what is stored of a new version beside its Dataset.
type version struct {
	change    Change
	data      []byte
	base      *uuid.UUID // whose bars come before data; nil: data holds all
	own       int        // bars in data, when there is a base
	added     int
	lastClose *float64 // nil: not known
	note      string
}

// insertVersion stores a version under a new id; false when its name is taken. meta's version 0 is the first.
func insertVersion(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, meta Dataset, v version) (made bool, err error) {
	if meta.ID == uuid.Nil {
		if meta.ID, err = uuid.NewV7(); err != nil {
			return false, fmt.Errorf("dataset id: %w", err)
		}
	}
	if len(meta.Reading) == 0 {
		meta.Reading = []byte("{}")
	}
	var own *int
	if v.base != nil {
		own = &v.own
	}
	number := max(meta.Version, 1)
	tag, err := tx.Exec(ctx, `
		insert into datasets (id, workspace_id, name, series, version, symbol, timeframe, calendar, bars, from_at, to_at, sha256, data,
			periods_per_year, time_zone, session, tick_size, quantity_step, point_value, currency, reading,
			change, base_id, own_bars, added_bars, sum_state, last_close, note)
		values ($1, $2, $3, nullif($4, $3), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
		        $22, $23, $24, $25, $26, $27, $28)
		on conflict (workspace_id, name) do nothing`,
		meta.ID, workspace, fullName(meta.Name, number), meta.Name, number, meta.Symbol, meta.Timeframe, meta.Calendar, meta.Bars,
		meta.From, meta.To, meta.SHA256, v.data, meta.PeriodsPerYear, meta.TimeZone, meta.Session, meta.TickSize, meta.QuantityStep,
		meta.PointValue, meta.Currency, meta.Reading, v.change, v.base, own, v.added, meta.SumState, v.lastClose, v.note)
	if err != nil {
		return false, fmt.Errorf("insert dataset: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// Versions lists the versions of a dataset, newest first, those before a number when it is not 0.
func (s *Store) Versions(ctx context.Context, workspace uuid.UUID, name string, before, limit int) ([]Version, error) {
	var list []Version
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "versions", pgx.RowToStructByName[Version], `
			select `+datasetColumns+`, change, added_bars, note,
			       exists (select from datasets r where r.workspace_id = $1 and coalesce(r.series, r.name) = $2
			                  and r.version > d.version and r.change = 'rewrite') as stale,
			       `+resultCounts+`
			  from datasets d
			 where workspace_id = $1 and coalesce(series, name) = $2 and ($3 = 0 or version < $3)
			 order by version desc limit $4`, workspace, name, before, limit)
		return err
	})
	return list, err
}

// resultCounts count what was computed on dataset d; a tune over several counts with each.
const resultCounts = `
	(select count(*) from (select id from tunes where dataset_id = d.id and wfo_id is null
	                       union select v.tune_id from tune_datasets v join tunes w on w.id = v.tune_id and w.wfo_id is null where v.dataset_id = d.id) t) as tunes,
	(select count(*) from (select id from wfo_runs where dataset_id = d.id
	                       union select wfo_id from wfo_datasets where dataset_id = d.id) w) as walk_forwards,
	(select count(*) from backtest_runs where dataset_id = d.id) as runs`

// VersionIDs are the ids of all versions of the dataset that has a version with an id; none when it is not there.
func (s *Store) VersionIDs(ctx context.Context, workspace, id uuid.UUID) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		ids, err = store.ReadAll(ctx, tx, "versions", pgx.RowTo[uuid.UUID], `
			select id from datasets
			 where workspace_id = $1 and coalesce(series, name) = (select coalesce(series, name) from datasets where workspace_id = $1 and id = $2)
			 order by id = $2 desc, version desc`, workspace, id)
		return err
	})
	return ids, err
}

func firstOf(list []Dataset) (first Dataset) {
	if len(list) > 0 {
		first = list[0]
	}
	return first
}
