package schedules

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"millrace/store"
)

// Troubled are the schedules of all workspaces whose last runs, Failing or more in a row, have failed: how many, and the
// ids of the first few.
func (s *Store) Troubled(ctx context.Context, few int) (count int, ids []uuid.UUID, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			with failing as materialized (select id from schedules where failures >= 3 limit 1000)
			select (select count(*) from failing), array(select id from failing order by id limit $1)`, few).Scan(&count, &ids)
		if err != nil {
			return fmt.Errorf("look for schedules that fail: %w", err)
		}
		return nil
	})
	return count, ids, err
}
