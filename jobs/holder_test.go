package jobs

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// lastStatement is what ran last: a tracer.
type lastStatement struct{ sql string }

// TraceQueryStart implements pgx.QueryTracer.
func (s *lastStatement) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.sql = data.SQL
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*lastStatement) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// The trigger that refuses the outcome of an attempt which does not hold its job looks at statements that set when a job ended
// or is due, or its errors. Each of River's that takes a running job to another state does so; a fetch does not, and is spared the trigger.
func TestEveryOutcomeIsOneThatTheHoldersTriggerLooksAt(t *testing.T) {
	t.Parallel()
	var looked []string
	db := pgtest.New(t)
	require.NoError(t, db.OwnerPool(t).QueryRow(t.Context(), `
		select array_agg(a.attname::text order by a.attname)
		  from pg_trigger t, unnest(t.tgattr) n join pg_attribute a on a.attrelid = 'river_job'::regclass and a.attnum = n
		 where t.tgname = 'river_job_holder'`).Scan(&looked))
	require.Equal(t, []string{"errors", "finalized_at", "scheduled_at"}, looked)
	for _, column := range looked {
		require.NotRegexp(t, `\b`+column+`\s+=`, fetchAvailable)
	}
	require.Regexp(t, `\bfinalized_at\s+=`, completeMany)
	ran := &lastStatement{}
	cfg := workerPool(t, db).Config()
	cfg.ConnConfig.Tracer = ran
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	ctx, by := t.Context(), riverpgxv5.New(pool).GetExecutor()
	for name, outcome := range map[string]func() error{
		"cancel": func() error {
			_, err := by.JobCancel(ctx, &riverdriver.JobCancelParams{ID: 1, CancelAttemptedAt: time.Now()})
			return err
		},
		"rescue": func() error {
			_, err := by.JobRescueMany(ctx, &riverdriver.JobRescueManyParams{})
			return err
		},
		"retry": func() error {
			_, err := by.JobRetry(ctx, &riverdriver.JobRetryParams{ID: 1})
			return err
		},
		"outcomes": func() error {
			_, err := by.JobSetStateIfRunningMany(ctx, &riverdriver.JobSetStateIfRunningManyParams{})
			return err
		},
		"update": func() error {
			_, err := by.JobUpdateFull(ctx, &riverdriver.JobUpdateFullParams{ID: 1, State: rivertype.JobStateAvailable})
			return err
		},
	} {
		if err := outcome(); err != nil {
			require.ErrorIs(t, err, rivertype.ErrNotFound, name) // there are no jobs
		}
		require.Contains(t, ran.sql, "river_job", name)
		require.Regexp(t, `\bfinalized_at\s+=`, ran.sql, name)
	}
}

// Statements of ours that set a job's state are outcomes too, in the program and in the database's functions.
func TestEveryOutcomeOfOursIsOneThatTheHoldersTriggerLooksAt(t *testing.T) {
	t.Parallel()
	statement := regexp.MustCompile("(?s)update\\s+river_job\\b[^`;]*?\\bset\\b[^`;]*?(\\bwhere\\b|`|;)")
	sources := map[string]string{}
	for _, room := range []string{".", "../store"} {
		require.NoError(t, filepath.WalkDir(room, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "storetest") {
				return err
			}
			raw, err := os.ReadFile(path)
			sources[path] = string(raw)
			return err
		}))
	}
	rows, err := pgtest.New(t).OwnerPool(t).Query(t.Context(), `
		select proname::text, prosrc from pg_proc where pronamespace = 'public'::regnamespace and prosrc ~* 'update\s+river_job'`)
	require.NoError(t, err)
	var name, source string
	_, err = pgx.ForEachRow(rows, []any{&name, &source}, func() error { sources[name] = source; return nil })
	require.NoError(t, err)
	outcomes := 0
	for place, source := range sources {
		for _, sql := range statement.FindAllString(source, -1) {
			if !regexp.MustCompile(`\bstate\s+=`).MatchString(sql) || strings.Contains(sql, "state = 'running'") {
				continue
			}
			outcomes++
			require.Regexp(t, `\b(finalized_at|scheduled_at|errors)\s+=`, sql, place)
		}
	}
	require.GreaterOrEqual(t, outcomes, 8)
}
