package tenants

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Expiring is a credential that works, was used within a week, and ends soon. One that nobody uses ends without harm,
// and that of a person whom the OpenID provider signs in is made to last as long as the person comes.
type Expiring struct {
	Kind      CredentialKind // a key, or an admin's token
	ID        uuid.UUID
	Name      string
	Workspace *uuid.UUID // of a key
	Left      time.Duration
	Total     int // of all that there are of the kind
}

// Expiring lists, for each kind, the few that end first within a time, by the database's clock.
func (s *Store) Expiring(ctx context.Context, within time.Duration, few int) ([]Expiring, error) {
	var found []Expiring
	batch := &pgx.Batch{}
	batch.Queue(`begin`)
	batch.Queue(`set local role millrace_fleet`)
	batch.Queue(`
		with soon as (
			select 'key' as kind, id, name, workspace_id, expires_at, last_used_at from api_keys
			 where revoked_at is null and subject is null and expires_at > now() and expires_at < now() + make_interval(secs => $1)
			union all
			select 'admin token', id, name, null, expires_at, last_used_at from admin_tokens
			 where revoked_at is null and subject is null and expires_at > now() and expires_at < now() + make_interval(secs => $1)),
		used as (
			select *, count(*) over (partition by kind) as total, row_number() over (partition by kind order by expires_at, id) as n
			  from soon where last_used_at > now() - interval '7 days')
		select kind, id, name, workspace_id, extract(epoch from expires_at - now())::float8, total from used where n <= $2 order by expires_at, id`,
		within.Seconds(), few).Query(func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Expiring, err error) {
			var left float64
			err = row.Scan(&e.Kind, &e.ID, &e.Name, &e.Workspace, &left, &e.Total)
			e.Left = time.Duration(left * float64(time.Second))
			return e, err
		})
		return err
	})
	batch.Queue(`commit`)
	if err := s.db.Pool().SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("look up credentials that end soon: %w", err)
	}
	return found, nil
}
