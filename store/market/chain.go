package market

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
)

// mergeBars is the most bars that an append packs again to keep chains short: a few milliseconds of work.
const mergeBars = 1 << 16

// link is a row of the chain that a version's bars are stored in: its own bars follow those of its base.
type link struct {
	ID   uuid.UUID
	Base *uuid.UUID
	Own  int       // bars in the row
	To   time.Time // of the last bar so far
	data []byte
}

// chainOf are the rows of version $2, newest first by depth.
const chainOf = `
		with recursive c as (
			select id, base_id, coalesce(own_bars, bars) as own, to_at, 0 as depth from datasets where workspace_id = $1 and id = $2
			union all
			select d.id, d.base_id, coalesce(d.own_bars, d.bars), d.to_at, c.depth + 1
			  from c join datasets d on d.id = c.base_id and d.workspace_id = $1)`

// chain reads a version's rows without their data, newest first.
func chain(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) ([]link, error) {
	rows, err := tx.Query(ctx, chainOf+` select id, base_id, own, to_at, null::bytea from c order by depth`, workspace, id)
	if err != nil {
		return nil, fmt.Errorf("read the rows of dataset %s: %w", id, err)
	}
	return collectChain(rows, id)
}

// queueChain has a batch read a version's rows with their data, newest first.
func queueChain(batch *pgx.Batch, workspace, id uuid.UUID, into *[]link) {
	batch.Queue(chainOf+`
		select c.id, c.base_id, c.own, c.to_at, case when c.own > 0 then d.data end
		  from c join datasets d on d.id = c.id and d.workspace_id = $1 order by c.depth`, workspace, id).Query(func(rows pgx.Rows) (err error) {
		*into, err = collectChain(rows, id)
		return err
	})
}

func collectChain(rows pgx.Rows, id uuid.UUID) ([]link, error) {
	links, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l link, err error) {
		err = row.Scan(&l.ID, &l.Base, &l.Own, &l.To, &l.data)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the rows of dataset %s: %w", id, err)
	}
	if len(links) == 0 || links[len(links)-1].Base != nil {
		return nil, fmt.Errorf("dataset %s: %w", id, store.ErrNotFound)
	}
	return links, nil
}

// fill reads the data of rows.
func fill(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, links []link) error {
	ids := make([]uuid.UUID, 0, len(links))
	for _, l := range links {
		if l.Own > 0 {
			ids = append(ids, l.ID)
		}
	}
	rows, err := tx.Query(ctx, `select id, data from datasets where workspace_id = $1 and id = any ($2)`, workspace, ids)
	if err != nil {
		return fmt.Errorf("read bars: %w", err)
	}
	var id uuid.UUID
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &data}, func() error {
		for i := range links {
			if links[i].ID == id {
				links[i].data = data
			}
		}
		data = nil
		return nil
	})
	if err != nil {
		return fmt.Errorf("read bars: %w", err)
	}
	return nil
}

// join unpacks filled rows, which are newest first, into bars, oldest first; nil when they have none.
func join(links []link) (*backtest.Bars, error) {
	var parts []*backtest.Bars
	for _, l := range slices.Backward(links) {
		if l.Own == 0 {
			continue
		}
		part, err := ohlcv.Decode(l.data)
		if err != nil {
			return nil, err
		}
		if part.Len() != l.Own {
			return nil, fmt.Errorf("row %s has %d bars, not %d", l.ID, part.Len(), l.Own)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return ohlcv.Join(parts...)
}

// times reads the times of the bars in rows, which are newest first; oldest first. Unpacking all of the bars takes several
// times as long.
func (s *Store) times(ctx context.Context, workspace uuid.UUID, links []link) ([]int64, error) {
	filled := slices.Clone(links)
	if err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error { return fill(ctx, tx, workspace, filled) }); err != nil {
		return nil, err
	}
	var parts [][]int64
	for _, l := range slices.Backward(filled) {
		if l.Own == 0 {
			continue
		}
		own, err := ohlcv.DecodeTimes(l.data)
		if err != nil {
			return nil, err
		}
		parts = append(parts, own)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return slices.Concat(parts...), nil
}

// merged is how many rows from the newest on an append of so many bars packs together with them, and the base
// that is left; nil: none. Rows at most as long as what follows them are packed, so that a chain of n appended bars has
// about log2(mergeBars) + n/mergeBars rows.
func merged(links []link, bars int) (count int, base *uuid.UUID) {
	for _, l := range links {
		if l.Own > bars || l.Own+bars > mergeBars {
			return count, &l.ID
		}
		bars += l.Own
		count++
	}
	return count, nil
}
