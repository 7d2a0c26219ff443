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
	Up     migrateUpCmd     `cmd:"" help:"Bring the database to this version, and make again what a restore left out. Safe to run in many processes at once."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and which are applied."`
}

type migrateUpCmd struct {
	databaseFlags
	Login         string `env:"MILLRACE_LOGIN" help:"Role that api and worker log in as: made if there is none, with no rights but to act as the roles they need."`
	LoginPassword string `env:"MILLRACE_LOGIN_PASSWORD" help:"Password that the login is given; unset, it is left as it is."`
	NewEpoch      bool   `help:"Begin a new epoch of the event log, so that streams begin again: after the data folder was put back to an earlier state."`
}

// Run migrates.
func (c *migrateUpCmd) Run(ctx context.Context, env *environment) error {
	if c.DatabaseURL == "" {
		return configError{errors.New("DATABASE_URL is not set")}
	}
	report, err := migrations.Bring(ctx, c.DatabaseURL, migrations.Options{
		NewEpoch: c.NewEpoch, Login: c.Login, LoginPassword: c.LoginPassword,
	})
	for _, name := range report.Applied {
		fmt.Fprintln(env.stdout, "applied", name)
	}
	for _, name := range report.Repaired {
		fmt.Fprintln(env.stdout, "made", name)
	}
	if report.NewEpoch {
		fmt.Fprintln(env.stdout, "began a new epoch of the event log: streams begin again")
	}
	if report.Cron != "" {
		fmt.Fprintln(env.stdout, report.Cron)
	}
	if err == nil && len(report.Applied)+len(report.Repaired) == 0 && !report.NewEpoch {
		fmt.Fprintln(env.stdout, "nothing to do: the database is complete and at this version")
	}
	return err
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
