package tuning

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
	"millrace/store"
)

// Series reads the bars that a tune runs on: those of its dataset, or of all of them.
func (s *Store) Series(ctx context.Context, tune *Tune) ([]sweep.Series, error) {
	ids, names := []uuid.UUID{tune.DatasetID}, tune.Datasets()
	if len(tune.Spec.Datasets) > 0 {
		var err error
		if ids, err = s.tuneDatasets(ctx, tune); err != nil {
			return nil, err
		}
	}
	if len(ids) != len(names) {
		return nil, fmt.Errorf("tune %s has %d datasets of the %d it names", tune.ID, len(ids), len(names))
	}
	series := make([]sweep.Series, len(ids))
	for i, id := range ids {
		bars, calendar, err := s.market.Bars(ctx, tune.WorkspaceID, id)
		if err != nil {
			return nil, err
		}
		if bars, err = s.market.Detailed(ctx, tune.WorkspaceID, bars, tune.Spec.IntrabarDataset); err != nil {
			return nil, err
		}
		series[i] = sweep.Series{Name: names[i], Bars: bars, Calendar: calendar}
	}
	return series, nil
}

func (s *Store) tuneDatasets(ctx context.Context, tune *Tune) (ids []uuid.UUID, err error) {
	err = s.db.InWorkspace(ctx, tune.WorkspaceID, func(tx *store.Tx) (err error) {
		ids, err = datasetsOf(ctx, tx, tune.ID)
		return err
	})
	return ids, err
}

func datasetsOf(ctx context.Context, tx pgx.Tx, tune uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `select dataset_id from tune_datasets where tune_id = $1 order by position`, tune)
	if err != nil {
		return nil, fmt.Errorf("list datasets of tune %s: %w", tune, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("list datasets of tune %s: %w", tune, err)
	}
	return ids, nil
}
