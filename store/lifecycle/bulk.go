package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// Action is what is done with all that a filter finds.
type Action string

// The actions.
const (
	CancelAll  Action = "cancel"
	DeleteAll  Action = "delete"
	ArchiveAll Action = "archive"
	RestoreAll Action = "restore"
	TagAll     Action = "tag"
	UntagAll   Action = "untag"
)

// ActionsOf are the actions that a kind has; nil: a filter does not find it.
func ActionsOf(kind Kind) []Action {
	return map[Kind][]Action{
		Tune:        {CancelAll, DeleteAll, ArchiveAll, RestoreAll, TagAll, UntagAll},
		WalkForward: {CancelAll, DeleteAll, ArchiveAll, RestoreAll, TagAll, UntagAll},
		RunPlan:     {CancelAll, DeleteAll, ArchiveAll, RestoreAll},
		Run:         {DeleteAll, ArchiveAll, RestoreAll},
	}[kind]
}

// StatusesOf are the statuses that a filter of a kind may name; nil: those have none.
func StatusesOf(kind Kind) []string {
	switch kind {
	case Tune:
		return textsOf(tuning.Queued, tuning.Running, tuning.Completed, tuning.Failed, tuning.Canceled)
	case WalkForward:
		return textsOf(walkforward.Statuses()...)
	case RunPlan:
		return textsOf(tuning.RunPlanStatuses()...)
	}
	return nil
}

func textsOf[S ~string](statuses ...S) []string {
	texts := make([]string, len(statuses))
	for i, status := range statuses {
		texts[i] = string(status)
	}
	return texts
}

const (
	// MaxBulk is the most things that one request changes.
	MaxBulk = 10_000
	// bulkBatch is how many of them one transaction changes.
	bulkBatch = 1000
	// maxTags is how many tags a label has.
	maxTags = 20
)

// Filter finds things of a kind; what is empty does not narrow. Folds of walk-forwards are not found.
type Filter struct {
	Status    string
	Strategy  string
	Tag       string
	Text      string        // every word of it is in the name, note or tags of its label, in its strategy or id
	OlderThan time.Duration // made longer ago
	Archived  *bool         // nil: both
	IDs       []uuid.UUID   // of these only; nil: any
}

// Bulk is a change of all that a filter finds.
type Bulk struct {
	Kind    Kind
	Action  Action
	Filter  Filter
	Tags    []string // that are given or taken away
	Cascade bool     // of a deletion
	Confirm int      // what Match must find, so that a filter does not surprise
}

// BulkDone is what became of it.
type BulkDone struct {
	Matched, Changed int
	Deletions        []uuid.UUID
}

// UnconfirmedError is a change that would be one of another number of things than the caller confirmed.
type UnconfirmedError struct{ Matched, Confirmed int }

// Error implements error.
func (e *UnconfirmedError) Error() string {
	return fmt.Sprintf("the filter finds %d, and %d were confirmed", e.Matched, e.Confirmed)
}

// Match finds what a change would touch: to cancel, what has not ended; to archive, what is not archived; to restore,
// what is. What has waited longest comes last, so that a cancellation admits none that it is to cancel.
func (s *Store) Match(ctx context.Context, workspace uuid.UUID, b Bulk) ([]uuid.UUID, error) {
	var conditions []string
	switch b.Action {
	case CancelAll:
		conditions = append(conditions, `s.status in ('queued', 'pending', 'running')`)
	case ArchiveAll:
		conditions = append(conditions, `s.archived_at is null`)
	case RestoreAll:
		conditions = append(conditions, `s.archived_at is not null`)
	}
	conditions = append(conditions, `(@archived::boolean is null or (s.archived_at is not null) = @archived)`)
	if b.Kind != Run {
		conditions = append(conditions, `(@status = '' or s.status = @status)`)
	}
	admitted, strategy := `s.id is null`, `s.strategy` // an order by a constant is an error
	switch b.Kind {
	case Tune:
		conditions, admitted = append(conditions, `s.wfo_id is null`), `s.admitted`
	case WalkForward:
		admitted = `s.admitted`
	case RunPlan:
		strategy = `s.name`
	}
	var ids []uuid.UUID
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		ids, err = store.ReadAll(ctx, tx, "what a filter finds", pgx.RowTo[uuid.UUID], `
			select s.id from `+b.Kind.table()+` s left join labels l on l.subject_id = s.id and l.workspace_id = @workspace
			 where s.workspace_id = @workspace and `+strings.Join(append(conditions, `true`), ` and `)+`
			   and (@strategy = '' or `+strategy+` = @strategy)
			   and (@tag = '' or l.tags @> array[@tag::text])
			   and (@age::float8 = 0 or s.created_at < clock_timestamp() - make_interval(secs => @age))
			   and (@ids::uuid[] is null or s.id = any(@ids))
			   and not exists (
				select 1 from unnest(@words::text[]) word
				 where position(lower(word) in lower(concat_ws(' ', l.name, l.note, array_to_string(l.tags, ' '), `+strategy+`, s.id::text))) = 0)
			 order by `+admitted+`, s.created_at desc, s.id desc limit @most`,
			pgx.NamedArgs{
				"workspace": workspace, "archived": b.Filter.Archived, "status": b.Filter.Status, "strategy": b.Filter.Strategy, "tag": b.Filter.Tag,
				"age": b.Filter.OlderThan.Seconds(), "ids": b.Filter.IDs, "words": append([]string{}, strings.Fields(b.Filter.Text)...), "most": MaxBulk + 1,
			})
		return err
	})
	if err == nil && len(ids) > MaxBulk {
		return nil, &TooManyError{MaxBulk}
	}
	return ids, err
}

// Bulk changes all that the filter finds, some in each transaction, when their number is the one confirmed: else it is
// an *UnconfirmedError, and nothing is changed.
func (s *Store) Bulk(ctx context.Context, workspace uuid.UUID, b Bulk) (BulkDone, error) {
	ids, err := s.Match(ctx, workspace, b)
	if err != nil {
		return BulkDone{}, err
	}
	done := BulkDone{Matched: len(ids)}
	if len(ids) != b.Confirm {
		return done, &UnconfirmedError{Matched: len(ids), Confirmed: b.Confirm}
	}
	if b.Action == DeleteAll && !b.Cascade && len(ids) > 0 {
		p, err := s.Preview(ctx, workspace, Request{Kind: b.Kind, IDs: ids, Bulk: true})
		if err != nil {
			return done, err
		}
		if p.Refuses() {
			return done, &RefusedError{Plan: p}
		}
	}
	store.AuditEntityOf(ctx, string(b.Kind), "")
	store.AuditChange(ctx, nil, map[string]any{"action": b.Action, "matched": len(ids), "status": b.Filter.Status, "tag": b.Filter.Tag, "tags": b.Tags})
	for batch := range slices.Chunk(ids, bulkBatch) {
		changed, err := s.change(ctx, workspace, b, batch, &done)
		done.Changed += changed
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// change changes a batch, and reports how many it changed.
func (s *Store) change(ctx context.Context, workspace uuid.UUID, b Bulk, ids []uuid.UUID, done *BulkDone) (changed int, err error) {
	switch {
	case b.Action == DeleteAll:
		d, err := s.Delete(ctx, workspace, Request{Kind: b.Kind, IDs: ids, Cascade: b.Cascade, Bulk: true})
		if errors.Is(err, store.ErrNotFound) {
			return 0, nil // all of them are gone
		}
		if err != nil {
			return 0, err
		}
		done.Deletions = append(done.Deletions, d.ID)
		return len(ids), nil
	case b.Action == CancelAll && b.Kind != Tune:
		return s.cancelEach(ctx, workspace, b.Kind, ids)
	}
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		switch b.Action {
		case CancelAll:
			var canceled []uuid.UUID
			canceled, err = s.tuning.CancelIn(ctx, tx, workspace, ids)
			changed = len(canceled)
		case ArchiveAll, RestoreAll:
			changed, err = archive(ctx, tx, workspace, b.Kind, ids, b.Action == ArchiveAll)
		case TagAll, UntagAll:
			changed, err = tag(ctx, tx, workspace, b, ids)
		}
		return err
	})
	return changed, err
}

// cancelEach cancels walk-forwards or run plans, each in transactions of its own: they have many tunes.
func (s *Store) cancelEach(ctx context.Context, workspace uuid.UUID, kind Kind, ids []uuid.UUID) (canceled int, err error) {
	for _, id := range ids {
		if kind == WalkForward {
			_, err = s.walkforward.Cancel(ctx, workspace, id)
		} else {
			err = s.tuning.CancelRunPlan(ctx, workspace, id)
		}
		switch {
		case err == nil:
			canceled++
		case !errors.Is(err, store.ErrEnded) && !errors.Is(err, store.ErrNotFound):
			return canceled, err
		}
	}
	return canceled, nil
}

// tag gives tags, or takes them away from what has one of them. One that would have more tags than a label may is left
// as it is.
func tag(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, b Bulk, ids []uuid.UUID) (int, error) {
	const untag = `
		update labels set updated_at = now(), tags = array(select t from unnest(tags) t where t <> all ($3::text[]))
		 where workspace_id = $1 and subject_id = any($2) and tags && $3::text[]`
	give := `
		insert into labels as l (subject_id, workspace_id, kind, tags)
		select id, $1, $4, $3::text[] from ` + b.Kind.table() + ` where workspace_id = $1 and id = any($2)
		on conflict (subject_id) do update
		   set updated_at = now(), tags = l.tags || array(select t from unnest($3::text[]) t where t <> all (l.tags))
		 where cardinality(l.tags || array(select t from unnest($3::text[]) t where t <> all (l.tags))) <= $5`
	statement, args := untag, []any{workspace, ids, b.Tags}
	if b.Action == TagAll {
		statement, args = give, append(args, string(b.Kind), maxTags)
	}
	result, err := tx.Exec(ctx, statement, args...)
	if err != nil {
		return 0, fmt.Errorf("tag: %w", err)
	}
	return int(result.RowsAffected()), nil
}
