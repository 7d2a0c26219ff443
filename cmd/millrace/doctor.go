package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/migrations"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store"
	"millrace/store/stores"
)

// healthOptions opens the small pool that the checks ask the database through: they must see that
// the process's own pool is full, not stand in its queue.
func healthOptions(ctx context.Context, life *lifecycle, db databaseFlags) (health.Options, error) {
	pool, err := store.OpenPool(ctx, store.PoolOptions{DatabaseURL: db.DatabaseURL, MaxConns: 4, Name: "millrace health"})
	if err != nil {
		return health.Options{}, configError{fmt.Errorf("DATABASE_URL: %w", err)}
	}
	life.onStop(func(context.Context) error { pool.Close(); return nil })
	return health.Options{Store: stores.New(pool, nil)}, nil
}

// doctorCmd is the verb `doctor`.
type doctorCmd struct {
	databaseFlags
	knowledgeFlags
	EnvFile string `name:"env-file" placeholder:"FILE" help:"Settings for what neither flag nor environment gives (by default ./.millrace/dev.env if it is there)."`
	JSON    bool   `help:"Print JSON."`
}

// Run looks at every component once. The exit status is 1 unless all is well.
func (c *doctorCmd) Run(ctx context.Context, env *environment) (err error) {
	if c.DatabaseURL == "" {
		values, err := clientFlags{EnvFile: c.EnvFile}.settings()
		if err != nil {
			return err
		}
		c.DatabaseURL = values["DATABASE_URL"]
	}
	if c.DatabaseURL == "" {
		return configError{errors.New("DATABASE_URL is not set, and there is no " + defaultEnvFile + " as millrace dev writes it")}
	}
	var life lifecycle
	defer func() { err = errors.Join(err, life.stop(stopQuickly)) }()
	opts, err := healthOptions(ctx, &life, c.databaseFlags)
	if err != nil {
		return err
	}
	parts, err := c.openKnowledge(&life, opts.Store, ops.NewMetrics(), env.logger)
	if err != nil {
		return err
	}
	c.look(parts, &opts)
	ready, overview := health.Ready(opts).Look(ctx), health.New(opts).Look(ctx)
	for _, part := range ready.Components {
		if part.Name == "migrations" || part.Name == "embedder" {
			overview.Components = append(overview.Components, part)
			overview.Status = overview.Status.Worse(part.Status)
		}
	}
	for _, part := range []ops.Component{configurationCheck(), protectionCheck(ctx, opts.Store.Pool(), env.profile)} {
		overview.Components = append(overview.Components, part)
		overview.Status = overview.Status.Worse(part.Status)
	}
	if c.JSON {
		err = json.NewEncoder(env.stdout).Encode(overview.Document(env.version()))
	} else {
		err = printOverview(env, overview)
	}
	if err == nil && overview.Status != ops.StatusOK {
		return exitStatus(1)
	}
	return err
}

// configurationCheck looks at the variables that are set here, which are the servers' where the doctor
// runs beside them.
func configurationCheck() ops.Component {
	profile, err := serverProblems("api", false)
	if err != nil {
		return ops.Component{Name: "configuration", Report: ops.Report{
			Status: ops.StatusError, Summary: strings.ReplaceAll(err.Error(), "\n", "; "),
			Advice: "Set what is named; `millrace config --check api` looks again.",
		}}
	}
	return ops.Component{Name: "configuration", Report: ops.Report{Status: ops.StatusOK, Summary: "an API server may start in " + profile}}
}

// protectionCheck looks at what keeps workspaces apart in the database: roles, rights, policies and
// triggers, and the login.
func protectionCheck(ctx context.Context, pool *pgxpool.Pool, profile string) ops.Component {
	report := ops.Report{Runbook: "platform.md#protection"}
	if err := migrations.Check(ctx, pool); err != nil {
		report.Raise(ops.StatusError, err.Error(), "Run: millrace migrate up. No server starts until it is complete.")
	}
	if err := migrations.CheckLogin(ctx, pool, store.AppRole); err != nil && (profile == production || !errors.Is(err, migrations.ErrUnsafeLogin)) {
		report.Raise(ops.StatusError, err.Error(), "Use a login that `millrace migrate up --login NAME` made.")
	}
	if has, err := migrations.HasLimitedLogin(ctx, pool); profile == production && err == nil && !has {
		report.Raise(ops.StatusError, "transactions of workspaces have no limited login", "Run: millrace migrate up --login NAME, with the servers' login; it makes the limited one beside it.")
	}
	report.Raise(ops.StatusOK, "complete", "")
	return ops.Component{Name: "protection", Report: report}
}

func printOverview(env *environment, overview ops.Overview) error {
	table := tabwriter.NewWriter(env.stdout, 0, 8, 2, ' ', 0)
	for _, c := range overview.Components {
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.Name, c.Status, c.Summary)
		if c.Advice != "" {
			fmt.Fprintf(table, "\t\t→ %s\n", c.Advice)
		}
		if c.Status != ops.StatusOK && c.Runbook != "" {
			fmt.Fprintf(table, "\t\t  ops/runbooks/%s\n", c.Runbook)
		}
	}
	fmt.Fprintf(table, "\noverall\t%s\t\n", overview.Status)
	return table.Flush()
}
