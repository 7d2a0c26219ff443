// Package labels keeps what people call tunes, walk-forwards and datasets, what they note of them and their
// tags, and finds all three by it.
package labels

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// Kind is what a label is of.
type Kind string

// The kinds.
const (
	Tune        Kind = "tune"
	WalkForward Kind = "wfo"
	Dataset     Kind = "dataset"
)

// Kinds lists them all.
func Kinds() []Kind { return []Kind{Tune, WalkForward, Dataset} }

// Label is the name, the note and the tags of one of them; all are empty where nobody gave any.
type Label struct {
	Kind      Kind
	ID        uuid.UUID // of the tune, walk-forward or dataset
	Name      string
	Note      string
	Tags      []string
	Strategy  string // "" of a dataset
	Dataset   string // name
	Status    string // "" of a dataset
	CreatedAt time.Time
}

// Store keeps labels. It is safe for concurrent use.
type Store struct{ db *store.DB }

// New makes a store of labels on the database.
func New(db *store.DB) *Store { return &Store{db: db} }

// subjects are all that can have a label, and the label of each that has one. Folds have none: their
// walk-forward has.
const subjects = `
	select s.kind, s.id, coalesce(l.name, '') as name, coalesce(l.note, '') as note, coalesce(l.tags, '{}') as tags,
	       s.strategy, s.dataset, s.status, s.created_at
	  from (select 'tune' as kind, t.id, t.strategy, d.name as dataset, t.status, t.created_at
	          from tunes t join datasets d on d.id = t.dataset_id where t.workspace_id = @workspace and t.wfo_id is null
	        union all
	        select 'wfo', w.id, w.strategy, d.name, w.status, w.created_at
	          from wfo_runs w join datasets d on d.id = w.dataset_id where w.workspace_id = @workspace
	        union all
	        select 'dataset', d.id, '', d.name, '', d.created_at from datasets d where d.workspace_id = @workspace) s
	  left join labels l on l.workspace_id = @workspace and l.subject_id = s.id`

// Get reads the label of one, or ErrNotFound when the workspace has nothing of that kind and id.
func (s *Store) Get(ctx context.Context, workspace uuid.UUID, kind Kind, id uuid.UUID) (Label, error) {
	var found Label
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		found, err = get(ctx, tx, workspace, kind, id)
		return err
	})
	return found, err
}

func get(ctx context.Context, tx *store.Tx, workspace uuid.UUID, kind Kind, id uuid.UUID) (Label, error) {
	rows, err := tx.Query(ctx, subjects+` where s.kind = @kind and s.id = @id`, pgx.NamedArgs{"workspace": workspace, "kind": kind, "id": id})
	if err != nil {
		return Label{}, fmt.Errorf("read the label of %s %s: %w", kind, id, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Label])
	if errors.Is(err, pgx.ErrNoRows) {
		err = store.ErrNotFound
	}
	if err != nil {
		return Label{}, fmt.Errorf("read the label of %s %s: %w", kind, id, err)
	}
	return found, nil
}

// Put stores name, note and tags of one in place of those before, and returns the label. It is ErrNotFound
// when the workspace has nothing of that kind and id.
func (s *Store) Put(ctx context.Context, workspace uuid.UUID, label Label) (Label, error) {
	var put Label
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		before, err := get(ctx, tx, workspace, label.Kind, label.ID)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into labels (subject_id, workspace_id, kind, name, note, tags) values ($1, $2, $3, $4, $5, $6)
			on conflict (subject_id) do update set name = excluded.name, note = excluded.note, tags = excluded.tags, updated_at = now()`,
			label.ID, workspace, label.Kind, label.Name, label.Note, append([]string{}, label.Tags...))
		if err != nil {
			return fmt.Errorf("store the label of %s %s: %w", label.Kind, label.ID, err)
		}
		if put, err = get(ctx, tx, workspace, label.Kind, label.ID); err != nil {
			return err
		}
		store.AuditChange(ctx, before.audited(), put.audited())
		return nil
	})
	return put, err
}

// auditedNote is how much of a note the audit log keeps.
const auditedNote = 200

// audited is what the audit log keeps of a label.
func (l Label) audited() map[string]any {
	note := []rune(l.Note)
	if len(note) > auditedNote {
		note = append(note[:auditedNote:auditedNote], '…')
	}
	return map[string]any{"name": l.Name, "note": string(note), "tags": l.Tags}
}

// Query is what to look for; what is empty does not narrow.
type Query struct {
	Kind Kind
	Tag  string
	Text string      // every word of it is in name, note, tags, strategy, dataset or id
	IDs  []uuid.UUID // of these only
}

// Find lists what matches, newest first.
func (s *Store) Find(ctx context.Context, workspace uuid.UUID, q Query, limit int) ([]Label, error) {
	var found []Label
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, subjects+`
			 where (@kind::text = '' or s.kind = @kind) and (@tag::text = '' or l.tags @> array[@tag::text])
			   and (@ids::uuid[] is null or s.id = any (@ids))
			   and not exists (
				select 1 from unnest(@words::text[]) word
				 where position(lower(word) in lower(concat_ws(' ', l.name, l.note, array_to_string(l.tags, ' '), s.strategy, s.dataset, s.id::text))) = 0)
			 order by s.created_at desc, s.id desc limit @limit`,
			pgx.NamedArgs{"workspace": workspace, "kind": q.Kind, "tag": q.Tag, "ids": q.IDs, "words": append([]string{}, strings.Fields(q.Text)...), "limit": limit})
		if err != nil {
			return fmt.Errorf("find labels: %w", err)
		}
		if found, err = pgx.CollectRows(rows, pgx.RowToStructByName[Label]); err != nil {
			return fmt.Errorf("find labels: %w", err)
		}
		return nil
	})
	return found, err
}
