package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// AuditSealing is what waits to be sealed into the chains of the audit log.
type AuditSealing struct {
	Waiting int           // committed entries, counted up to a limit
	Behind  time.Duration // how long the oldest has waited; 0: none waits
}

// sealingCounted is how many entries that wait are counted.
const sealingCounted = 100_000

// AuditSealing looks at what waits. The oldest entry of each chain is the first of its index, so that a backlog of any
// size costs a look at each chain that has one.
func (s *DB) AuditSealing(ctx context.Context) (AuditSealing, error) {
	var state AuditSealing
	err := s.pipelineInFleet(ctx, func(batch *pgx.Batch) {
		batch.Queue(`
			with recursive firsts as (
				(select workspace_id, at from audit_unsealed order by workspace_id, id limit 1)
				union all
				select next.workspace_id, next.at from firsts f, lateral (
					select u.workspace_id, u.at from audit_unsealed u where u.workspace_id > f.workspace_id order by u.workspace_id, u.id limit 1) next)
			select (select count(*) from (select from audit_unsealed limit $1) counted),
			       coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 from firsts`, sealingCounted).
			QueryRow(func(row pgx.Row) error {
				var seconds float64
				err := row.Scan(&state.Waiting, &seconds)
				state.Behind = time.Duration(max(0, seconds) * float64(time.Second))
				return err
			})
	})
	if err != nil {
		return state, fmt.Errorf("look at what the audit log has to seal: %w", err)
	}
	return state, nil
}
