package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/ops/routine"
	"millrace/store"
	"millrace/store/session"
)

// newLeastSubmission is the least that any submission of a tune can be: a client as ours, an HTTP server whose handler
// reads the body, inserts the rows of a tune that was submitted, as a workspace, into their tables with their triggers,
// references and policies, in one round trip, and answers what that tune was answered. It looks up no caller, reads no JSON, checks nothing, and
// neither claims a key nor enters an admission. What a submission adds to this is ours to save; this is not.
func newLeastSubmission(ctx context.Context, b *testing.B, s *benchService, body types.TuneRequest, id string) *benchSubmission {
	b.Helper()
	owner, err := session.Connect(ctx, s.queue, session.Schema())
	require.NoError(b, err)
	defer func() { _ = owner.Close(ctx) }()
	rows, err := writtenTables(ctx, owner, "tunes", id)
	require.NoError(b, err)
	var inserts []string
	for _, row := range rows {
		if insert, ok := row.again(); ok {
			inserts = append(inserts, insert)
		}
	}
	require.Len(b, inserts, 5, "a tune, its job, an event, a key and an audit entry")
	var space string
	var answer []byte
	require.NoError(b, owner.QueryRow(ctx, `select workspace_id::text, body from idempotency_keys where location = '/backtests/tunes/' || $1`, id).Scan(&space, &answer))
	pool, err := pgxpool.New(ctx, s.queue)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		batch := &pgx.Batch{}
		batch.Queue(`begin`)
		batch.Queue(`set local role ` + store.WorkspaceRole)
		batch.Queue(`select set_config('millrace.workspace', $1, true)`, space)
		for _, insert := range inserts {
			batch.Queue(insert)
		}
		batch.Queue(`commit`)
		if err == nil {
			err = pool.SendBatch(r.Context(), batch).Close()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(answer)
	})}
	routine.Go(func() error { return server.Serve(listener) }, func(error) {})
	b.Cleanup(func() { _ = server.Close() })
	least, err := client.New(client.Options{URL: "http://" + listener.Addr().String(), Key: "mr_least", Attempts: 1})
	require.NoError(b, err)
	return &benchSubmission{name: "least submissions", each: "a least submission", submit: func(ctx context.Context, n int) (string, error) {
		_, err := least.SubmitTune(ctx, fmt.Sprint("least-", n), body)
		return id, err
	}}
}

// again inserts a row like it into its own table, where no trigger does.
func (t *writtenTable) again() (insert string, ok bool) {
	row := writtenTable{name: t.name}
	for i, column := range t.columns {
		value := t.values[i]
		switch {
		case t.name == "counter_deltas", t.name == "event_log" && column == `"topic"` && value == `E'jobs'`:
			return "", false
		case slices.Contains(unwritten(), t.name+"."+column[1:len(column)-1]):
			continue
		}
		row.columns, row.values = append(row.columns, column), append(row.values, value)
	}
	if t.name == "audit_unsealed" { // of no other workspace
		row.columns, row.values = append(row.columns, "workspace_id"), append(row.values, "millrace_workspace()")
	}
	return row.insert("public"), true
}

// leastBeside measures the least submissions, beside submissions and pgbench that were measured just before.
func (s *benchService) leastBeside(ctx context.Context, found *figures, least, kind *benchSubmission, many int) error {
	_, rate, used, err := s.drive(ctx, found, least, many)
	if err != nil {
		return err
	}
	latest := func(name string) float64 {
		values := found.named(name, "").values
		return values[len(values)-1]
	}
	if floor := "pgbench inserting the rows of " + kind.each; len(found.named(floor, "").values) > 0 {
		found.ratio("least submissions / pgbench", rate/latest(floor))
	}
	found.ratio(kind.name+" / least submissions", latest(kind.name)/rate)
	if used.known {
		found.add("processor time of a least submission: client and server", "ms", used.ours.Seconds()*1000/float64(many))
		found.add("processor time of a least submission: Postgres", "ms", used.postgres.Seconds()*1000/float64(many))
	}
	return nil
}

// unwritten are columns that a workspace may not write, or whose value another row has.
func unwritten() []string {
	return []string{
		"event_log.xid", "event_log.id", "event_log.at", "event_log.job_ids",
		"audit_unsealed.id", "audit_unsealed.at", "audit_unsealed.workspace_id",
	}
}
