package tenants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
	"millrace/store/admission"
)

// Workspace is one tenant.
type Workspace struct {
	ID        uuid.UUID
	Name      string
	TuneCap   int // tunes it may have running at once, across the fleet
	Limits    WorkspaceLimits
	CreatedAt time.Time
}

// WorkspaceLimits are those of one workspace; where it is nil the server's own holds.
type WorkspaceLimits struct {
	SubmissionsPerMinute *int
	QueriesPerMinute     *int
	QueueDepth           *int // pieces of work that may wait or run

	// Quotas, see store.QuotaError; nil is any.
	TrialsPerDay *int // submitted from midnight UTC on
	Bytes        *int
	Datasets     *int // by name
	Documents    *int
}

const workspaceColumns = `id, name, tune_cap, submissions_per_minute, queries_per_minute, queue_depth,
	trials_per_day, max_bytes, max_datasets, max_documents, created_at`

func scanWorkspace(row pgx.CollectableRow) (w Workspace, err error) {
	err = row.Scan(&w.ID, &w.Name, &w.TuneCap,
		&w.Limits.SubmissionsPerMinute, &w.Limits.QueriesPerMinute, &w.Limits.QueueDepth,
		&w.Limits.TrialsPerDay, &w.Limits.Bytes, &w.Limits.Datasets, &w.Limits.Documents, &w.CreatedAt)
	return w, err
}

// CreateWorkspace makes a tenant. ErrConflict when the name is taken.
func (s *Store) CreateWorkspace(ctx context.Context, name string, tuneCap int) (Workspace, error) {
	var w Workspace
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		w, err = insertWorkspace(ctx, tx, Workspace{Name: name, TuneCap: tuneCap})
		return err
	})
	return w, err
}

// AddWorkspace makes a tenant with limits of its own, once for the submission's idempotency key. ErrConflict when the
// name is taken.
func (s *Store) AddWorkspace(ctx context.Context, sub store.Submission, w Workspace, answer func(Workspace) (store.Response, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		made, err := insertWorkspace(ctx, tx, w)
		if err != nil {
			return store.Response{}, err
		}
		return answer(made)
	})
}

func insertWorkspace(ctx context.Context, tx *store.Tx, w Workspace) (Workspace, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return w, fmt.Errorf("workspace id: %w", err)
	}
	made, err := oneWorkspace(ctx, tx, `
		insert into workspaces (id, name, tune_cap, submissions_per_minute, queries_per_minute, queue_depth,
		                        trials_per_day, max_bytes, max_datasets, max_documents)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning `+workspaceColumns,
		append([]any{id, w.Name, w.TuneCap}, w.Limits.args()...)...)
	store.AuditEntityOf(ctx, "workspace", id.String())
	store.AuditIn(ctx, id)
	store.AuditChange(ctx, nil, made.audited())
	return made, err
}

// args are the limits in the order of their columns.
func (l *WorkspaceLimits) args() []any {
	return []any{l.SubmissionsPerMinute, l.QueriesPerMinute, l.QueueDepth, l.TrialsPerDay, l.Bytes, l.Datasets, l.Documents}
}

// WorkspaceChange says what becomes of a workspace; what is nil stays. A limit of 0 is the server's
// again.
type WorkspaceChange struct {
	Name    *string
	TuneCap *int
	Limits  WorkspaceLimits
}

// ChangeWorkspace changes a tenant, and admits the tunes that a higher cap has room for. ErrNotFound
// when there is none, ErrConflict when the name is taken. A quota below what the workspace has takes nothing away.
func (s *Store) ChangeWorkspace(ctx context.Context, id uuid.UUID, change WorkspaceChange) (Workspace, error) {
	var w Workspace
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		if err := store.BeforeChange(ctx, tx, id); err != nil {
			return err
		}
		before, err := oneWorkspace(ctx, tx, `select `+workspaceColumns+` from workspaces where id = $1 for update`, id)
		if err != nil {
			return err
		}
		w, err = oneWorkspace(ctx, tx, `
			update workspaces
			   set name = coalesce($2, name), tune_cap = coalesce($3, tune_cap),
			       submissions_per_minute = nullif(coalesce($4, submissions_per_minute), 0),
			       queries_per_minute = nullif(coalesce($5, queries_per_minute), 0),
			       queue_depth = nullif(coalesce($6, queue_depth), 0),
			       -- Nothing is counted without a quota, so the first submission under it counts from the tunes.
			       trials_day = case when trials_per_day is null then null else trials_day end,
			       trials_per_day = nullif(coalesce($7, trials_per_day), 0),
			       max_bytes = nullif(coalesce($8, max_bytes), 0),
			       max_datasets = nullif(coalesce($9, max_datasets), 0),
			       max_documents = nullif(coalesce($10, max_documents), 0)
			 where id = $1 returning `+workspaceColumns,
			append([]any{id, change.Name, change.TuneCap}, change.Limits.args()...)...)
		if err != nil {
			return err
		}
		store.AuditChange(ctx, before.audited(), w.audited())
		return admission.Next(ctx, tx, id)
	})
	return w, err
}

// audited is what the audit log keeps of a workspace.
func (w Workspace) audited() map[string]any {
	return map[string]any{
		"name": w.Name, "tune_cap": w.TuneCap, "submissions_per_minute": w.Limits.SubmissionsPerMinute,
		"queries_per_minute": w.Limits.QueriesPerMinute, "queue_depth": w.Limits.QueueDepth,
		store.QuotaTrials: w.Limits.TrialsPerDay, store.QuotaBytes: w.Limits.Bytes,
		store.QuotaDatasets: w.Limits.Datasets, store.QuotaDocuments: w.Limits.Documents,
	}
}

// oneWorkspace runs a statement that yields a workspace.
func oneWorkspace(ctx context.Context, tx pgx.Tx, sql string, args ...any) (Workspace, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return Workspace{}, fmt.Errorf("workspace: %w", err)
	}
	w, err := pgx.CollectExactlyOneRow(rows, scanWorkspace)
	switch {
	case store.SQLState(err) == store.UniqueViolation:
		return Workspace{}, fmt.Errorf("workspace: %w", store.ErrConflict)
	case errors.Is(err, pgx.ErrNoRows):
		return Workspace{}, fmt.Errorf("workspace: %w", store.ErrNotFound)
	case err != nil:
		return Workspace{}, fmt.Errorf("workspace: %w", err)
	}
	return w, nil
}

// Workspaces lists every tenant, by name.
func (s *Store) Workspaces(ctx context.Context) ([]Workspace, error) {
	return s.listWorkspaces(ctx, `select `+workspaceColumns+` from workspaces order by name`)
}

// WorkspacePage lists the tenants, newest first, from after the page's place.
func (s *Store) WorkspacePage(ctx context.Context, page store.Page, limit int) ([]Workspace, error) {
	return s.listWorkspaces(ctx, `
		select `+workspaceColumns+` from workspaces
		 where $2 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($1, $2)
		 order by created_at desc, id desc limit $3`, page.Before, page.BeforeID, limit)
}

func (s *Store) listWorkspaces(ctx context.Context, sql string, args ...any) ([]Workspace, error) {
	var all []Workspace
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return fmt.Errorf("list workspaces: %w", err)
		}
		if all, err = pgx.CollectRows(rows, scanWorkspace); err != nil {
			return fmt.Errorf("list workspaces: %w", err)
		}
		return nil
	})
	return all, err
}

// Workspace reads one tenant, or ErrNotFound.
func (s *Store) Workspace(ctx context.Context, id uuid.UUID) (Workspace, error) {
	var w Workspace
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		w, err = oneWorkspace(ctx, tx, `select `+workspaceColumns+` from workspaces where id = $1`, id)
		return err
	})
	return w, err
}

// WorkspaceNamed finds a tenant by its name, or ErrNotFound.
func (s *Store) WorkspaceNamed(ctx context.Context, name string) (Workspace, error) {
	var w Workspace
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		w, err = oneWorkspace(ctx, tx, `select `+workspaceColumns+` from workspaces where name = $1`, name)
		return err
	})
	return w, err
}
