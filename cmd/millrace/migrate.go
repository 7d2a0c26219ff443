package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"millrace/migrations"
)

// migrateCmd is the verb `migrate`.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Bring the database to this version. Safe to run in many processes at once."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and which are applied."`
}

type migrateUpCmd struct{ databaseFlags }

// Run migrates.
func (c *migrateUpCmd) Run(ctx context.Context) error {
	if c.DatabaseURL == "" {
		return configError{errors.New("DATABASE_URL is not set")}
	}
	return migrations.Up(ctx, c.DatabaseURL)
}

type migrateStatusCmd struct{ databaseFlags }

// Run lists the migrations.
func (c *migrateStatusCmd) Run(ctx context.Context, env *environment) error {
	if c.DatabaseURL == "" {
		return configError{errors.New("DATABASE_URL is not set")}
	}
	entries, err := migrations.Status(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(env.stdout, 0, 8, 2, ' ', 0)
	for _, e := range entries {
		applied := "pending"
		if !e.AppliedAt.IsZero() {
			applied = e.AppliedAt.UTC().Format("2006-01-02 15:04:05")
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", e.Set, e.Version, e.Name, applied)
	}
	return table.Flush()
}
