package lifecycle

import (
	"context"
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
	RetryAll   Action = "retry"
	DeleteAll  Action = "delete"
	ArchiveAll Action = "archive"
	RestoreAll Action = "restore"
	TagAll     Action = "tag"
	UntagAll   Action = "untag"
)

// ActionsOf are the actions that a kind has; nil: a filter does not find it.
func ActionsOf(kind Kind) []Action {
	return map[Kind][]Action{
		Tune:        {CancelAll, RetryAll, DeleteAll, ArchiveAll, RestoreAll, TagAll, UntagAll},
		WalkForward: {CancelAll, RetryAll, DeleteAll, ArchiveAll, RestoreAll, TagAll, UntagAll},
		RunPlan:     {CancelAll, RetryAll, DeleteAll, ArchiveAll, RestoreAll},
		Run:         {DeleteAll, ArchiveAll, RestoreAll},
	}[kind]
}

// BulkKinds are those that a filter finds.
func BulkKinds() []Kind {
	return slices.DeleteFunc(Kinds(), func(k Kind) bool { return ActionsOf(k) == nil })
}

// Actions are those of any kind.
func Actions() []Action {
	return []Action{CancelAll, RetryAll, DeleteAll, ArchiveAll, RestoreAll, TagAll, UntagAll}
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
	// bulkBatch is how many of them one transaction changes, and bulkParents of those that have many tunes.
	bulkBatch   = 100
	bulkParents = 20
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
	Depth   int      // of a retry: work that the workspace may have open; 0: any
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

// Match finds what a change would touch: to cancel, what has not ended; to retry, what failed or was cancelled, and run plans with
// such variants; to archive, what is not archived; to restore,
// what is. What has waited longest comes last, so that a cancellation admits none that it is to cancel.
func (s *Store) Match(ctx context.Context, workspace uuid.UUID, b Bulk) (ids []uuid.UUID, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		ids, err = match(ctx, tx, workspace, b)
		return err
	})
	return ids, err
}

func match(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, b Bulk) ([]uuid.UUID, error) {
	var conditions []string
	switch b.Action {
	case CancelAll:
		conditions = append(conditions, `s.status in ('queued', 'pending', 'running')`)
	case RetryAll:
		conditions = append(conditions, `s.status in ('failed', 'canceled', 'partial')`)
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
	if b.Action == RetryAll && b.Kind == WalkForward {
		conditions = append(conditions, `s.status <> 'partial'`) // it has a result
	}
	ids, err := store.ReadAll(ctx, tx, "what a filter finds", pgx.RowTo[uuid.UUID], `
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
	if err == nil && len(ids) > MaxBulk {
		return nil, &TooManyError{MaxBulk}
	}
	return ids, err
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
