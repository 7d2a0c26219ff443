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

// Dataset is what is known of an immutable set of bars.
type Dataset struct {
	ID        uuid.UUID
	Name      string // unique within the workspace
	Symbol    string
	Timeframe string
	Calendar  backtest.Calendar
	Bars      int
	From, To  time.Time // of the first and the last bar
	SHA256    []byte    // of the uncompressed columns
	CreatedAt time.Time
	backtest.Instrument
	Reading json.RawMessage // what the file was taken for, as JSON; {} when it is not known
}

const datasetColumns = `id, name, symbol, timeframe, calendar, bars, from_at as "from", to_at as "to", sha256, created_at,
	periods_per_year, time_zone, session, tick_size, quantity_step, point_value, currency, reading`

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

// PutDataset stores the bars under meta's name. The same bars under the same name again are the
// dataset that is there; other bars are ErrConflict, another description of them a *DifferenceError.
func (s *Store) PutDataset(ctx context.Context, workspace uuid.UUID, meta Dataset, bars *backtest.Bars) (Dataset, error) {
	data, err := ohlcv.Encode(bars)
	if err != nil {
		return Dataset{}, fmt.Errorf("encode bars: %w", err)
	}
	sum, last := ohlcv.Sum(bars), bars.Len()-1
	meta.Bars, meta.SHA256 = bars.Len(), sum[:]
	meta.From, meta.To = time.UnixMicro(bars.Time[0]).UTC(), time.UnixMicro(bars.Time[last]).UTC()
	return s.PutEncodedDataset(ctx, workspace, meta, data)
}

// PutEncodedDataset is PutDataset of bars that ohlcv.Encode has packed; meta has their number, times and
// sum too.
func (s *Store) PutEncodedDataset(ctx context.Context, workspace uuid.UUID, meta Dataset, data []byte) (Dataset, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Dataset{}, fmt.Errorf("dataset id: %w", err)
	}
	sum, sent := meta.SHA256, meta
	if len(meta.Reading) == 0 {
		meta.Reading = json.RawMessage("{}")
	}
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into datasets (id, workspace_id, name, symbol, timeframe, calendar, bars, from_at, to_at, sha256, data,
				periods_per_year, time_zone, session, tick_size, quantity_step, point_value, currency, reading)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
			on conflict (workspace_id, name) do nothing`,
			id, workspace, meta.Name, meta.Symbol, meta.Timeframe, meta.Calendar, meta.Bars, meta.From, meta.To, sum, data,
			meta.PeriodsPerYear, meta.TimeZone, meta.Session, meta.TickSize, meta.QuantityStep, meta.PointValue, meta.Currency, meta.Reading)
		if err != nil {
			return fmt.Errorf("insert dataset: %w", err)
		}
		if meta, err = readDataset(ctx, tx, workspace, meta.Name); err != nil {
			return err
		}
		if !bytes.Equal(meta.SHA256, sum) {
			return fmt.Errorf("dataset %q holds other bars: %w", meta.Name, store.ErrConflict)
		}
		return difference(&meta, &sent)
	})
	return meta, err
}

// Dataset finds a dataset of the workspace by id or by name, or store.ErrNotFound.
func (s *Store) Dataset(ctx context.Context, workspace uuid.UUID, idOrName string) (Dataset, error) {
	var found Dataset
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		found, err = readDataset(ctx, tx, workspace, idOrName)
		return err
	})
	return found, err
}

func readDataset(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, idOrName string) (Dataset, error) {
	id, _ := uuid.Parse(idOrName) // not an id: matches none
	return store.ReadOne(ctx, tx, fmt.Sprintf("dataset %q", idOrName), pgx.RowToStructByName[Dataset], `
		select `+datasetColumns+` from datasets
		 where workspace_id = $1 and (id = $2 or name = $3) order by id = $2 desc limit 1`,
		workspace, id, idOrName)
}

// Datasets lists the workspace's datasets, newest first, from after the page's place.
func (s *Store) Datasets(ctx context.Context, workspace uuid.UUID, page store.Page, limit int) ([]Dataset, error) {
	var list []Dataset
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "datasets", pgx.RowToStructByName[Dataset], `
			select `+datasetColumns+` from datasets
			 where workspace_id = $1
			   and ($3 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($2, $3))
			 order by created_at desc, id desc limit $4`,
			workspace, page.Before, page.BeforeID, limit)
		return err
	})
	return list, err
}

// Bars reads a dataset's bars and calendar, from memory when this process read them before.
// The bars are shared: they may not be changed.
func (s *Store) Bars(ctx context.Context, workspace, id uuid.UUID) (*backtest.Bars, backtest.Calendar, error) {
	return s.bars.get(ctx, barsKey{workspace, id}, func(ctx context.Context) (*backtest.Bars, backtest.Calendar, error) {
		var data []byte
		var calendar backtest.Calendar
		var in backtest.Instrument
		err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
			err := tx.QueryRow(ctx, `
				select data, calendar, periods_per_year, time_zone, session, tick_size, quantity_step, point_value, currency
				  from datasets where workspace_id = $1 and id = $2`, workspace, id).
				Scan(&data, &calendar, &in.PeriodsPerYear, &in.TimeZone, &in.Session, &in.TickSize, &in.QuantityStep, &in.PointValue, &in.Currency)
			if errors.Is(err, pgx.ErrNoRows) {
				return fmt.Errorf("dataset %s: %w", id, store.ErrNotFound)
			}
			if err != nil {
				return fmt.Errorf("read bars: %w", err)
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
		bars, err := ohlcv.Decode(data)
		if err != nil {
			return nil, 0, fmt.Errorf("decode dataset %s: %w", id, err)
		}
		if bars, err = bars.As(in); err != nil {
			return nil, 0, fmt.Errorf("instrument of dataset %s: %w", id, err)
		}
		return bars, calendar, nil
	})
}
