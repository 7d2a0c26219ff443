package library

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/store"
)

// ReembedStatus is where a re-embedding is in its life; the last two are final.
type ReembedStatus string

// The statuses of a re-embedding.
const (
	ReembedQueued    ReembedStatus = "queued"
	ReembedRunning   ReembedStatus = "running"
	ReembedCompleted ReembedStatus = "completed"
	ReembedFailed    ReembedStatus = "failed"
)

// ReembedStatuses lists them all.
func ReembedStatuses() []ReembedStatus {
	return []ReembedStatus{ReembedQueued, ReembedRunning, ReembedCompleted, ReembedFailed}
}

// Reembed is a workspace's move to another embedding model.
type Reembed struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	To          knowledge.Placement  `db:"-"`
	From        knowledge.Collection `db:"-"` // where the workspace was
	Status      ReembedStatus
	Reason      *string
	Done        int
	Total       int
	CreatedAt   time.Time
	StartedAt   *time.Time
	CompletedAt *time.Time
}

// ErrBehind says that chunks have come that are not in the new collection yet.
var ErrBehind = errors.New("chunks are not embedded yet")

// CreateReembed stores a re-embedding and its job in the transaction of the submission. A workspace
// has one at a time: another is ErrRunning.
func (s *Store) CreateReembed(ctx context.Context, sub store.Submission, to knowledge.Placement,
	render func(*Reembed) (store.Response, error),
) (store.Response, error) {
	resp, err := s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		r, err := s.createReembed(ctx, tx, sub.Workspace, to)
		if err != nil {
			return store.Response{}, err
		}
		return render(r)
	})
	switch store.SQLState(err) {
	case store.UniqueViolation:
		return resp, fmt.Errorf("re-embed workspace %s: %w", sub.Workspace, store.ErrRunning)
	case store.ForeignKeyViolation:
		return resp, fmt.Errorf("workspace %s: %w", sub.Workspace, store.ErrNotFound)
	}
	return resp, err
}

func (s *Store) createReembed(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, to knowledge.Placement) (*Reembed, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("re-embedding id: %w", err)
	}
	from, err := readPlacement(ctx, tx, workspace, "")
	if errors.Is(err, pgx.ErrNoRows) {
		from, err = to, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read placement: %w", err)
	}
	inserted, err := s.db.River().InsertTx(ctx, tx, jobs.ReembedArgs{WorkspaceID: workspace, ReembedID: id}, nil)
	if err != nil {
		return nil, fmt.Errorf("insert job: %w", err)
	}
	r := &Reembed{ID: id, WorkspaceID: workspace, To: to, From: from.Collection, Status: ReembedQueued}
	err = tx.QueryRow(ctx, `
		insert into reembeds (id, workspace_id, provider, model, dimensions, collection, from_collection, from_dimensions, river_job_id, total)
		select $1, $2, $3, $4, $5, $6, $7, $8, $9, (select count(*) from chunks where workspace_id = $2)
		returning total, created_at`,
		id, workspace, to.Model.Provider, to.Model.Name, to.Model.Dimensions, to.Collection.Name, r.From.Name, r.From.Dimensions, inserted.Job.ID).
		Scan(&r.Total, &r.CreatedAt)
	if err != nil {
		return nil, fmt.Errorf("insert re-embedding: %w", err)
	}
	return r, appendReembedEvent(ctx, tx, r)
}

const reembedColumns = `
	id, workspace_id, provider, model, dimensions, collection, from_collection, from_dimensions, status, reason, done, total,
	created_at, started_at, completed_at`

// reembedRow is a row of reembedColumns.
type reembedRow struct {
	Reembed
	Provider, Model, Collection string
	Dimensions                  int
	FromCollection              string
	FromDimensions              int
}

func scanReembed(row pgx.CollectableRow) (*Reembed, error) {
	r, err := pgx.RowToAddrOfStructByName[reembedRow](row)
	if err != nil {
		return nil, err
	}
	r.To.Model = knowledge.Model{Provider: r.Provider, Name: r.Model, Dimensions: r.Dimensions}
	r.To.Collection = knowledge.Collection{Name: r.Collection, Dimensions: r.Dimensions}
	r.From = knowledge.Collection{Name: r.FromCollection, Dimensions: r.FromDimensions}
	return &r.Reembed, nil
}

// Reembed reads a re-embedding of any workspace, or ErrNotFound.
func (s *Store) Reembed(ctx context.Context, id uuid.UUID) (*Reembed, error) {
	var r *Reembed
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		r, err = readReembed(ctx, tx, id)
		return err
	})
	return r, err
}

func readReembed(ctx context.Context, tx pgx.Tx, id uuid.UUID) (*Reembed, error) {
	return store.ReadOne(ctx, tx, "re-embedding "+id.String(), scanReembed, `select `+reembedColumns+` from reembeds where id = $1 and exists (select from workspaces w where w.id = workspace_id)`, id)
}

// Reembeds lists the re-embeddings of the fleet, newest first, from after the page's place.
func (s *Store) Reembeds(ctx context.Context, page store.Page, limit int) ([]*Reembed, error) {
	var list []*Reembed
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "re-embeddings", scanReembed, `
			select `+reembedColumns+` from reembeds
			 where exists (select from workspaces w where w.id = workspace_id) -- and is not being deleted
			   and ($2 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($1, $2))
			 order by created_at desc, id desc limit $3`, page.Before, page.BeforeID, limit)
		return err
	})
	return list, err
}

// reembedEvent is the payload of ingestion.reembed.* events.
type reembedEvent struct {
	Status     ReembedStatus `json:"status"`
	Model      string        `json:"model"`
	Collection string        `json:"collection"`
	Done       int           `json:"done"`
	Total      int           `json:"total"`
	Reason     *string       `json:"reason"`
}

// appendReembedEvent records a re-embedding as it now is: queued, running (at each batch),
// completed or failed.
func appendReembedEvent(ctx context.Context, tx pgx.Tx, r *Reembed) error {
	return store.AppendEvent(ctx, tx, r.WorkspaceID, "ingestion", "ingestion.reembed."+string(r.Status), r.ID.String(), reembedEvent{
		r.Status, r.To.Model.String(), r.To.Collection.Name, r.Done, r.Total, r.Reason,
	})
}
