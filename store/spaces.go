package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// OpenWorkspaces opens the pool of workspaces' transactions beside that of everything else, with a login of
// its own: whatever SQL gets into such a transaction, its session cannot act as another role of ours. name
// and password are the login's; databaseURL, if it is given, is used in their place. Both pools count and
// measure together.
func OpenWorkspaces(ctx context.Context, beside *pgxpool.Pool, login Login, conns int32) (*pgxpool.Pool, error) {
	cfg := beside.Config()
	cfg.MaxConns = conns
	cfg.MinConns = 0
	if login.DatabaseURL != "" {
		given, err := pgxpool.ParseConfig(login.DatabaseURL)
		if err != nil {
			return nil, fmt.Errorf("parse database URL: %w", err)
		}
		to := given.ConnConfig
		cfg.ConnConfig.Host, cfg.ConnConfig.Port, cfg.ConnConfig.Database = to.Host, to.Port, to.Database
		cfg.ConnConfig.TLSConfig, cfg.ConnConfig.Fallbacks = to.TLSConfig, to.Fallbacks
		cfg.ConnConfig.User, cfg.ConnConfig.Password = to.User, to.Password
	} else {
		cfg.ConnConfig.User = login.Name
	}
	cfg.ConnConfig.RuntimeParams["role"] = WorkspaceRole
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the pool of workspaces: %w", err)
	}
	return pool, nil
}

// Login is whom OpenWorkspaces logs in as: a name with the password of the pool beside it, or a URL.
type Login struct{ Name, DatabaseURL string }

// SetWorkspaces has workspaces' transactions run on a pool of their own, see OpenWorkspaces.
func (s *DB) SetWorkspaces(pool *pgxpool.Pool) { s.spaces = pool }

// Workspaces is the pool that workspaces' transactions run on.
func (s *DB) Workspaces() *pgxpool.Pool { return s.spaces }
