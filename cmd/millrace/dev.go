package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"millrace/api/client"
	"millrace/migrations"
	"millrace/ops"
	"millrace/store"
	"millrace/store/localpg"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// devCmd is the verb `dev`: everything in one process, with a Postgres of its own unless
// DATABASE_URL names one.
type devCmd struct {
	databaseFlags
	internalFlags
	knowledgeFlags
	webhookFlags
	workerFlags
	apiFlags
	telemetryFlags
	Data string `default:".millrace" env:"MILLRACE_DATA" help:"Folder for the database and dev.env."`
}

// Run serves until a signal.
func (c *devCmd) Run(ctx context.Context, env *environment) error {
	return serve(ctx, env, c.Drain+15*time.Second, func(life *lifecycle) error {
		_, err := c.start(ctx, life, env)
		return err
	})
}

func (c *devCmd) start(ctx context.Context, life *lifecycle, env *environment) (devSettings, error) {
	if env.profile == production {
		return devSettings{}, configError{errors.New("--profile (CONFIG_PROFILE): dev keeps its keys in a file; in production run migrate, api and worker")}
	}
	if err := checked(c.apiFlags.check(env.profile), c.workerFlags.check(), c.knowledgeFlags.check(), c.webhookFlags.check(), c.telemetryFlags.check()); err != nil {
		return devSettings{}, err
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return devSettings{}, configError{fmt.Errorf("--data (MILLRACE_DATA): %w", err)}
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return devSettings{}, configError{fmt.Errorf("--data (MILLRACE_DATA): %w", err)}
	}
	if err := c.keep(data); err != nil {
		return devSettings{}, err
	}
	if err := c.database(ctx, life, env, data); err != nil {
		return devSettings{}, err
	}
	if err := migrations.Up(ctx, c.DatabaseURL); err != nil {
		return devSettings{}, err
	}
	settings, err := c.tenant(ctx, data)
	if err != nil {
		return devSettings{}, err
	}
	c.AdminToken = settings.AdminToken
	metrics := ops.NewMetrics()
	if err := serveInternal(ctx, life, env, c.internalFlags, metrics, c.AdminToken); err != nil {
		return devSettings{}, err
	}
	if env.exports, err = c.telemetryFlags.start(ctx, life, env, "millrace-dev", metrics, c.AdminToken, c.DatabaseURL); err != nil {
		return devSettings{}, err
	}
	address, err := startAPI(ctx, life, env, c.databaseFlags, c.knowledgeFlags, c.webhookFlags, c.apiFlags, metrics)
	if err != nil {
		return devSettings{}, err
	}
	c.depth = c.LimitQueueDepth
	if err := startWorker(ctx, life, env, c.databaseFlags, c.knowledgeFlags, c.webhookFlags, c.workerFlags, metrics); err != nil {
		return devSettings{}, err
	}
	settings.URL = "http://" + address
	file := filepath.Join(data, "dev.env")
	if err := settings.write(file); err != nil {
		return devSettings{}, err
	}
	fmt.Fprintf(env.stdout, `
Millrace is ready.
  API        %s
  console    %[1]s/admin
  workspace  %s
  key        %s
  admin      %s
  settings   %s   (client commands read it; other shells: set -a; . %[5]s)
  database   %s

`, settings.URL, settings.WorkspaceID, settings.APIKey, settings.AdminToken, file, c.DatabaseURL)
	return settings, nil
}

// database starts the private cluster when no other database was named. A shell that has read dev.env
// names the private one, at the port of its last start.
func (c *devCmd) database(ctx context.Context, life *lifecycle, env *environment, data string) error {
	private := filepath.Join(data, "postgres")
	if c.DatabaseURL != "" && !localpg.IsURLOf(private, c.DatabaseURL) {
		return nil
	}
	cluster, err := localpg.Start(ctx, localpg.Options{DataDir: private, Logger: env.logger})
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	life.onStop(cluster.Stop)
	life.needs(cluster.Done(), cluster.Ended)
	c.DatabaseURL = cluster.URL()
	return nil
}

// tenant makes the workspace "dev" with an owner key, or takes them up again from dev.env when the
// database still knows the key.
func (c *devCmd) tenant(ctx context.Context, data string) (devSettings, error) {
	settings, err := readDevSettings(filepath.Join(data, "dev.env"))
	if err != nil {
		return settings, err
	}
	settings.DatabaseURL = c.DatabaseURL
	if c.AdminToken != "" {
		settings.AdminToken = c.AdminToken
	}
	if settings.AdminToken == "" {
		settings.AdminToken = randomToken()
	}
	pool, err := store.OpenPool(ctx, store.PoolOptions{DatabaseURL: c.DatabaseURL, MaxConns: 2})
	if err != nil {
		return settings, configError{fmt.Errorf("DATABASE_URL: %w", err)}
	}
	defer pool.Close()
	st := stores.New(pool, nil)
	if settings.APIKey != "" {
		principal, err := st.Tenants.KeyBySecret(ctx, settings.APIKey)
		if err == nil {
			settings.WorkspaceID = principal.WorkspaceID
			return settings, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return settings, err
		}
	}
	workspace, err := devWorkspace(ctx, st)
	if err != nil {
		return settings, err
	}
	settings.WorkspaceID = workspace
	settings.APIKey, err = st.Tenants.CreateKey(ctx, workspace, "dev", tenants.RoleOwner)
	return settings, err
}

func devWorkspace(ctx context.Context, st *stores.Set) (uuid.UUID, error) {
	found, err := st.Tenants.WorkspaceNamed(ctx, "dev")
	if errors.Is(err, store.ErrNotFound) {
		found, err = st.Tenants.CreateWorkspace(ctx, "dev", 2)
	}
	return found.ID, err
}

func randomToken() string {
	var raw [24]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(raw[:])
}

// devSettings are what dev.env holds.
type devSettings struct {
	URL         string
	APIKey      string
	WorkspaceID uuid.UUID
	AdminToken  string
	DatabaseURL string
}

// client is a client of the workspace that dev made.
func (s devSettings) client() (*client.Client, error) {
	return client.New(client.Options{URL: s.URL, Key: s.APIKey, Workspace: s.WorkspaceID.String(), UserAgent: "millrace-cli"})
}

func readDevSettings(file string) (devSettings, error) {
	values, err := readEnvFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return devSettings{}, fmt.Errorf("read %s: %w", file, err)
	}
	return devSettings{APIKey: values["MILLRACE_API_KEY"], AdminToken: values["ADMIN_TOKEN"]}, nil
}

// write replaces the file in one step; it holds secrets, so only its owner may read it.
func (s devSettings) write(file string) error {
	body := fmt.Sprintf("MILLRACE_URL=%s\nMILLRACE_API_KEY=%s\nMILLRACE_WORKSPACE_ID=%s\nADMIN_TOKEN=%s\nDATABASE_URL=%s\n",
		s.URL, s.APIKey, s.WorkspaceID, s.AdminToken, shellQuoted(s.DatabaseURL))
	next := file + ".next"
	if err := os.WriteFile(next, []byte(body), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// shellQuoted quotes a value for a shell that sources the file: a URL holds & and ?.
func shellQuoted(value string) string { return "'" + value + "'" }
