package lifecycle

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// holding is a table with rows of workspaces, as a workspace's deletion takes them away. What refers to another table's
// rows comes before it. Every table that has a workspace_id is in the list, a part of one that is, or in keptTables.
type holding struct {
	kind  string // what messages call its rows
	table string
	parts []part // rows that belong to its rows, and are no kind of their own
	rows  int    // that one transaction deletes; 0: stepRows
	only  string // a condition on h, of the rows that may go now; "": all may
}

// part is a table whose rows belong to those of another.
type part struct {
	table string
	by    string // its column that refers to the other's id
}

// holdings lists them, in the order in which they are emptied.
func holdings() []holding {
	return []holding{
		{kind: "schedules", table: "schedules", rows: stepItems, parts: []part{{"schedule_slots", "schedule_id"}}},
		{kind: "webhooks", table: "webhooks", rows: stepItems, parts: []part{{"webhook_deliveries", "webhook_id"}}},
		{kind: "keys", table: "api_keys"},
		{kind: "tickets", table: "event_tickets"},
		{kind: "idempotency_records", table: "idempotency_keys"},
		{kind: "labels", table: "labels"},
		{kind: "trade_events", table: "trade_events"},
		{kind: "recommendations", table: "match_runs"},
		{kind: "run_plans", table: "run_plans", rows: stepItems, parts: []part{{"run_plan_variants", "run_plan_id"}}},
		{kind: "tunes", table: "tunes", rows: stepItems, parts: []part{
			{"tune_shards", "tune_id"}, {"tune_leaderboard", "tune_id"}, {"tune_explanations", "tune_id"}, {"tune_datasets", "tune_id"}, {"tune_progress", "tune_id"},
		}},
		{kind: "walk_forwards", table: "wfo_runs", rows: stepItems, parts: []part{{"wfo_candidates", "wfo_id"}, {"wfo_folds", "wfo_id"}, {"wfo_progress", "wfo_id"}, {"wfo_datasets", "wfo_id"}}},
		{kind: "runs", table: "backtest_runs", rows: itemsAtOnce(Run)},
		{kind: "datasets", table: "datasets", rows: itemsAtOnce(Dataset), only: `not exists (select from datasets later where later.base_id = h.id)`},
		{kind: "strategies", table: "strategies"},
		{kind: "retired_versions", table: "retired_versions"}, // what a deletion leaves of a dataset or script
		{kind: "ingestions", table: "ingest_jobs"},
		{kind: "uploads", table: "ingest_uploads", rows: 1, parts: []part{{"ingest_upload_parts", "upload_id"}}},
		{kind: "reembeddings", table: "reembeds", rows: stepItems, parts: []part{{"reembed_chunks", "reembed_id"}}},
		{kind: "vectors", table: "vectors"},
		{kind: "vector_sets", table: "vector_sets"},
		{kind: "part_vectors", table: "chunk_parts"},
		{kind: "chunks", table: "chunks"},
		{kind: "documents", table: "documents", rows: stepItems},
		{kind: "text_versions", table: "text_versions"},
		{kind: "models", table: "workspace_models"},
		{kind: "deletions", table: "deletions", rows: stepItems, parts: []part{{"deletion_items", "deletion_id"}}},
		// The counters of all workspaces are summed up from the log and the deltas: what they have not read stays.
		{kind: "events", table: "event_log", rows: 5000, only: `(h.xid, h.id) <= (select p.xid, p.id from counters_place p)`},
		{kind: "counter_deltas", table: "counter_deltas", only: `false`},
		{kind: "event_counts", table: "event_counts"},
		{kind: "counters", table: "counters"},
	}
}

// keptTables have rows of workspaces that stay: who did what, that it was deleted among it.
func keptTables() []string { return []string{"audit_log", "audit_heads", "audit_unsealed"} }

// empty deletes some rows of the workspace, parts first, and returns how many.
func (h holding) empty(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (int64, error) {
	switch {
	case h.table == "event_log":
		return h.emptyLog(ctx, tx, workspace)
	case len(h.parts) > 0:
		return h.emptyParts(ctx, tx, workspace)
	}
	tag, err := tx.Exec(ctx, `
		delete from `+h.table+`
		 where ctid = any(array(select h.ctid from `+h.table+` h where h.workspace_id = $1 and `+h.free()+` limit $2)) and workspace_id = $1`, workspace, h.most())
	if err != nil {
		return 0, fmt.Errorf("empty %s: %w", h.table, err)
	}
	return tag.RowsAffected(), nil
}

// emptyParts deletes parts of some rows, and the rows when all their parts are gone.
func (h holding) emptyParts(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (rows int64, err error) {
	ids, err := store.ReadAll(ctx, tx, "what is left in "+h.table, pgx.RowTo[uuid.UUID], `
		select h.id from `+h.table+` h where h.workspace_id = $1 and `+h.free()+` limit $2`, workspace, h.most())
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	for _, p := range h.parts {
		tag, err := tx.Exec(ctx, `
			delete from `+p.table+` where ctid = any(array(select ctid from `+p.table+` where `+p.by+` = any($1) limit $2)) and `+p.by+` = any($1)`,
			ids, stepRows-rows)
		if err != nil {
			return rows, fmt.Errorf("empty %s: %w", p.table, err)
		}
		if rows += tag.RowsAffected(); rows >= stepRows {
			return rows, nil
		}
	}
	tag, err := tx.Exec(ctx, `delete from `+h.table+` where id = any($1) and workspace_id = $2`, ids, workspace)
	if err != nil {
		return rows, fmt.Errorf("empty %s: %w", h.table, err)
	}
	return rows + tag.RowsAffected(), nil
}

// emptyLog deletes the first of the workspace's events. The log is in partitions, which have a ctid each of their own.
func (h holding) emptyLog(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (int64, error) {
	tag, err := tx.Exec(ctx, `
		delete from event_log
		 where workspace_id = $1 and (xid, id) <= (
			select last.xid, last.id
			  from (select h.xid, h.id from event_log h where h.workspace_id = $1 and `+h.free()+` order by h.xid, h.id limit $2) last
			 order by last.xid desc, last.id desc limit 1)`, workspace, h.most())
	if err != nil {
		return 0, fmt.Errorf("empty event_log: %w", err)
	}
	return tag.RowsAffected(), nil
}

func (h holding) free() string {
	if h.only == "" {
		return "true"
	}
	return h.only
}

func (h holding) most() int {
	if h.rows == 0 {
		return stepRows
	}
	return h.rows
}

// left reports whether the workspace has rows in the table.
func (h holding) left(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (left bool, err error) {
	err = tx.QueryRow(ctx, `select exists (select from `+h.table+` where workspace_id = $1)`, workspace).Scan(&left)
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", h.table, err)
	}
	return left, nil
}

// rowHeader is the bytes that a row takes beside its columns.
const rowHeader = 28

// measure counts the workspace's rows and their bytes as they are stored, without their indexes.
func (h holding) measure(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (Content, error) {
	of := Content{Kind: h.kind}
	var err error
	if of.Count, of.Bytes, err = measure(ctx, tx, h.table, `workspace_id = $1`, workspace); err != nil || of.Count == 0 {
		return of, err
	}
	of.Rows = of.Count
	for _, p := range h.parts {
		rows, bytes, err := measure(ctx, tx, p.table, p.by+` in (select id from `+h.table+` where workspace_id = $1)`, workspace)
		if err != nil {
			return of, err
		}
		of.Rows += rows
		of.Bytes += bytes
	}
	return of, nil
}

func measure(ctx context.Context, tx pgx.Tx, table, which string, workspace uuid.UUID) (rows, bytes int64, err error) {
	columns, err := store.ReadAll(ctx, tx, "columns of "+table, pgx.RowTo[string], `
		select quote_ident(attname) from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped`, table)
	if err != nil {
		return 0, 0, err
	}
	sizes := []string{fmt.Sprint(rowHeader)}
	for _, column := range columns {
		sizes = append(sizes, `coalesce(pg_column_size(`+column+`), 0)`)
	}
	err = tx.QueryRow(ctx, `select count(*), coalesce(sum(`+strings.Join(sizes, ` + `)+`), 0)::bigint from `+table+` where `+which, workspace).Scan(&rows, &bytes)
	if err != nil {
		return 0, 0, fmt.Errorf("measure %s: %w", table, err)
	}
	return rows, bytes, nil
}
