package market

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
)

// Dataset is what is known of an immutable set of bars: one version of a name.
type Dataset struct {
	ID        uuid.UUID
	Name      string // of the series; the newest version goes by it
	Version   int    // from 1
	FullName  string // of this version for good: Name of the first, Name@N of later ones; unique within the workspace
	Symbol    string
	Timeframe string
	Calendar  backtest.Calendar
	Bars      int
	From, To  time.Time // of the first and the last bar
	SHA256    []byte    // of the uncompressed columns
	CreatedAt time.Time
	backtest.Instrument
	Reading  json.RawMessage // what the file was taken for, as JSON; {} when it is not known
	SumState []byte          // from which the hash continues, see ohlcv.Digest; nil: it is of the form of before
}

const datasetColumns = `id, coalesce(series, name) as name, version, name as full_name, symbol, timeframe, calendar, bars, from_at as "from", to_at as "to", sha256, created_at,
	periods_per_year, time_zone, session, tick_size, quantity_step, point_value, currency, reading, sum_state`

// Detailed are bars with those of a stored dataset inside them; "" is none. The id is that of a spec that was
// checked.
func (s *Store) Detailed(ctx context.Context, workspace uuid.UUID, bars *backtest.Bars, id string) (*backtest.Bars, error) {
	if id == "" {
		return bars, nil
	}
	dataset, err := uuid.Parse(id)
	if err != nil {
		return nil, fmt.Errorf("intrabar dataset: %w", err)
	}
	fine, _, err := s.Bars(ctx, workspace, dataset)
	if err != nil {
		return nil, err
	}
	detailed, err := bars.WithDetail(fine)
	if err != nil {
		return nil, fmt.Errorf("intrabar dataset %s: %w", id, err)
	}
	return detailed, nil
}

// DifferenceError is an upload whose name holds the same bars with another value of a field.
type DifferenceError struct{ Field, Stored, Sent string }

// Error implements error.
func (e *DifferenceError) Error() string {
	return fmt.Sprintf("the dataset has %s %q, not %q", e.Field, e.Stored, e.Sent)
}

// Unwrap makes it an ErrConflict.
func (e *DifferenceError) Unwrap() error { return store.ErrConflict }

// difference is the first field in which what is stored is not what was sent, or nil. What is not known
// of the stored dataset differs from nothing.
func difference(stored, sent *Dataset) error {
	for _, f := range []struct{ field, stored, sent string }{
		{"symbol", stored.Symbol, sent.Symbol}, {"timeframe", stored.Timeframe, sent.Timeframe},
		{"calendar", strconv.Itoa(int(stored.Calendar)), strconv.Itoa(int(sent.Calendar))},
		{"periods_per_year", figure(stored.PeriodsPerYear), figure(sent.PeriodsPerYear)},
		{"time_zone", stored.TimeZone, sent.TimeZone}, {"session", stored.Session, sent.Session},
		{"tick_size", figure(stored.TickSize), figure(sent.TickSize)}, {"quantity_step", figure(stored.QuantityStep), figure(sent.QuantityStep)},
		{"point_value", figure(stored.PointValue), figure(sent.PointValue)}, {"currency", stored.Currency, sent.Currency},
	} {
		if f.stored != f.sent && (f.stored != "" || stored.PeriodsPerYear > 0) {
			return &DifferenceError{f.field, f.stored, f.sent}
		}
	}
	return nil
}

func figure(v float64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// PutDataset stores the bars under meta's name. Bars that a version of the name has are that version; other
// bars are ErrConflict, another description of them a *DifferenceError.
func (s *Store) PutDataset(ctx context.Context, workspace uuid.UUID, meta Dataset, bars *backtest.Bars) (Dataset, error) {
	data, err := ohlcv.Encode(bars)
	if err != nil {
		return Dataset{}, fmt.Errorf("encode bars: %w", err)
	}
	digest, last := ohlcv.NewDigest(), bars.Len()-1
	digest.Append(bars)
	sum := digest.Sum()
	if meta.SumState, err = digest.State(); err != nil {
		return Dataset{}, err
	}
	meta.Bars, meta.SHA256 = bars.Len(), sum[:]
	meta.From, meta.To = time.UnixMicro(bars.Time[0]).UTC(), time.UnixMicro(bars.Time[last]).UTC()
	return s.PutEncodedDataset(ctx, workspace, meta, data)
}

// PutEncodedDataset is PutDataset of bars that ohlcv.Encode has packed; meta has their number, times and
// sum too.
func (s *Store) PutEncodedDataset(ctx context.Context, workspace uuid.UUID, meta Dataset, data []byte) (Dataset, error) {
	var stored Dataset
	flat := func() ([]byte, error) {
		bars, err := ohlcv.Decode(data)
		if err != nil {
			return nil, fmt.Errorf("decode bars: %w", err)
		}
		sum := ohlcv.FlatSum(bars)
		return sum[:], nil
	}
	var ofBefore []byte // the sum in the form of before, when a stored one has it
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		made, err := insertVersion(ctx, tx, workspace, meta, version{change: Uploaded, data: data})
		if err != nil {
			return err
		}
		if !made {
			tx.Unaudited()
		}
		stored, ofBefore, err = sameBars(ctx, tx, workspace, &meta, made)
		store.AuditEntityOf(ctx, "dataset", stored.ID.String())
		store.AuditChange(ctx, nil, map[string]any{"name": stored.Name, "bars": stored.Bars})
		if err != nil || !made {
			return err
		}
		return store.CheckQuota(ctx, tx, workspace, store.Added{Bytes: int64(len(data)), Datasets: 1})
	})
	if ofBefore == nil || err != nil {
		return stored, err
	}
	if sum, err := flat(); err != nil || !bytes.Equal(sum, ofBefore) {
		return stored, errors.Join(err, otherBars(meta.Name))
	}
	return stored, difference(&stored, &meta)
}

func otherBars(name string) error {
	return fmt.Errorf("dataset %q holds other bars: %w", name, store.ErrConflict)
}

// sameBars finds the version of meta's name that has its bars: the newest that is described as meta is, or
// else the newest. Where only one from before sums could be continued is left, it returns that one's sum, for
// the caller to compare.
func sameBars(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, meta *Dataset, made bool) (found Dataset, ofBefore []byte, err error) {
	versions, err := store.ReadAll(ctx, tx, "versions", pgx.RowToStructByName[Dataset], `
		select `+datasetColumns+` from datasets
		 where workspace_id = $1 and coalesce(series, name) = $2 and (sha256 = $3 or sum_state is null and bars = $4)
		 order by version desc`, workspace, meta.Name, meta.SHA256, meta.Bars)
	if err != nil || made {
		return firstOf(versions), nil, err
	}
	for i := range versions {
		v := &versions[i]
		if !bytes.Equal(v.SHA256, meta.SHA256) {
			return *v, v.SHA256, nil
		}
		if found.ID == uuid.Nil || difference(v, meta) == nil {
			found = *v
		}
		if difference(v, meta) == nil {
			return found, nil, nil
		}
	}
	if found.ID == uuid.Nil {
		return found, nil, otherBars(meta.Name)
	}
	return found, nil, difference(&found, meta)
}

// Dataset finds a dataset of the workspace, or store.ErrNotFound: by id, the newest version by the name, or
// one by NAME@N.
func (s *Store) Dataset(ctx context.Context, workspace uuid.UUID, idOrName string) (Dataset, error) {
	var found Dataset
	err := s.db.PipelineInWorkspace(ctx, workspace, func(batch *pgx.Batch) {
		sql, args := datasetQuery(workspace, idOrName)
		batch.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
			found, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Dataset])
			return err
		})
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return found, fmt.Errorf("dataset %q: %w", idOrName, store.ErrNotFound)
	case err != nil:
		return found, fmt.Errorf("read dataset %q: %w", idOrName, err)
	}
	s.names.keep(nameKey{workspace, idOrName}, found)
	return found, nil
}

func readDataset(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, idOrName string) (Dataset, error) {
	sql, args := datasetQuery(workspace, idOrName)
	return store.ReadOne(ctx, tx, fmt.Sprintf("dataset %q", idOrName), pgx.RowToStructByName[Dataset], sql, args...)
}

func datasetQuery(workspace uuid.UUID, idOrName string) (sql string, args []any) {
	id, _ := uuid.Parse(idOrName) // not an id: matches none
	series, number, _ := SplitVersion(idOrName)
	return `
		select ` + datasetColumns + ` from datasets
		 where workspace_id = $1 and (id = $2 or coalesce(series, name) = $3 and not superseded or coalesce(series, name) = $4 and version = $5)
		 order by id = $2 desc, coalesce(series, name) = $3 desc limit 1`, []any{workspace, id, idOrName, series, number}
}

// Datasets lists the newest version of each of the workspace's datasets, newest first, from after the page's place.
// archived nil: both.
func (s *Store) Datasets(ctx context.Context, workspace uuid.UUID, archived *bool, page store.Page, limit int) ([]Dataset, error) {
	var list []Dataset
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "datasets", pgx.RowToStructByName[Dataset], `
			select `+datasetColumns+` from datasets
			 where workspace_id = $1 and not superseded and ($5::boolean is null or (archived_at is not null) = $5)
			   and ($3 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($2, $3))
			 order by created_at desc, id desc limit $4`,
			workspace, page.Before, page.BeforeID, limit, archived)
		return err
	})
	return list, err
}

// Bars reads a dataset's bars and calendar, from memory when this process read them before.
// The bars are shared: they may not be changed.
func (s *Store) Bars(ctx context.Context, workspace, id uuid.UUID) (*backtest.Bars, backtest.Calendar, error) {
	return s.bars.get(ctx, barsKey{workspace, id}, func(ctx context.Context) (*backtest.Bars, backtest.Calendar, error) {
		var links []link
		var meta Dataset
		err := s.db.PipelineInWorkspace(ctx, workspace, func(batch *pgx.Batch) {
			sql, args := datasetQuery(workspace, id.String())
			batch.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
				meta, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Dataset])
				return err
			})
			queueChain(batch, workspace, id, &links)
		})
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil, 0, fmt.Errorf("dataset %q: %w", id, store.ErrNotFound)
		case err != nil:
			return nil, 0, fmt.Errorf("read the bars of dataset %s: %w", id, err)
		}
		bars, err := join(links)
		if err != nil {
			return nil, 0, fmt.Errorf("decode dataset %s: %w", id, err)
		}
		if bars, err = bars.As(meta.Instrument); err != nil {
			return nil, 0, fmt.Errorf("instrument of dataset %s: %w", id, err)
		}
		return bars, meta.Calendar, nil
	})
}
