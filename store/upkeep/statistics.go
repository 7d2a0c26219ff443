package upkeep

import (
	"context"
	"fmt"
	"slices"

	"millrace/store"
)

// CollectStatistics has Postgres analyse tables that have none, or are several times as large as when it did so last, and
// returns their names. Autovacuum does so within a minute, in which a busy server may have made plans for empty tables.
func (s *Store) CollectStatistics(ctx context.Context) (tables []string, err error) {
	for {
		var table *string
		err := s.db.InFleet(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(ctx, `select collect_statistics()`).Scan(&table)
		})
		if err != nil {
			return tables, fmt.Errorf("collect statistics: %w", err)
		}
		if table == nil || slices.Contains(tables, *table) { // what was counted of it since is left to the next look
			return tables, nil
		}
		tables = append(tables, *table)
	}
}
