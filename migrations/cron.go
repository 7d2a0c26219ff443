package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// ensureCron makes the extension pg_cron where the server runs it for this database and the login may,
// and gives it the schedule. It says who runs the schedule; empty where the server does not have it.
func ensureCron(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	var runs, there, may bool
	err := pool.QueryRow(ctx, `
		select exists (select from pg_available_extensions where name = 'pg_cron')
		       and coalesce(current_setting('cron.database_name', true), '') = current_database(),
		       exists (select from pg_extension where extname = 'pg_cron'),
		       (select rolsuper from pg_roles where rolname = current_user)`).Scan(&runs, &there, &may)
	if err != nil {
		return "", fmt.Errorf("look for pg_cron: %w", err)
	}
	switch {
	case !runs:
		return "", nil
	case !there && !may:
		return "pg_cron is there, but only a superuser can create the extension: River runs the schedule", nil
	case !there:
		if _, err := pool.Exec(ctx, `create extension if not exists pg_cron`); err != nil {
			return "", fmt.Errorf("create the extension pg_cron: %w", err)
		}
	}
	var scheduler string
	if err := pool.QueryRow(ctx, `select retention_reschedule()`).Scan(&scheduler); err != nil {
		return "", fmt.Errorf("schedule with pg_cron: %w", err)
	}
	return scheduler + " runs the schedule", nil
}
