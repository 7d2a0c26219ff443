package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The quotas of a workspace, as its limits name them.
const (
	QuotaTrials    = "trials_per_day"
	QuotaBytes     = "bytes"
	QuotaDatasets  = "datasets"
	QuotaDocuments = "documents"
)

// QuotaError is a change that would take a workspace beyond what it may have. Nothing of its transaction may stay.
type QuotaError struct {
	Quota string
	Asked int64
	Used  int64
	Limit int64
	Again time.Duration // until all of it may be used again; 0: when something is deleted
}

// Error implements error.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("the workspace's quota %s is %d: %d are used, and this asks for %d", e.Quota, e.Limit, e.Used, e.Asked)
}

// trials are those of a workspace with a quota, on the day of the database's clock, in UTC.
type trials struct {
	limit int64 // 0: any, and nothing is counted
	used  int64
	day   time.Time
	left  float64 // seconds until the day ends
}

// utcClock is the clock by which trials have a day.
const utcClock = `(select now, now::date as day from (select clock_timestamp() at time zone 'utc' as now offset 0) c offset 0) clock`

// TakeTrials counts trials that are submitted, at the end of the transaction, or is a *QuotaError. The place is that of a
// transaction that entered alone, as every one does that submits trials of a workspace with a quota.
func (t *Tx) TakeTrials(workspace uuid.UUID, place Place, asked int) error {
	if err := place.CheckTrials(asked); err != nil || place.trials.limit == 0 {
		return err
	}
	has := place.trials
	t.Last("count trials", `update workspaces set trials_day = $2, trials_used = $3 where id = $1`, workspace, has.day, has.used+int64(asked))
	return nil
}

// CheckTrials is a *QuotaError when so many trials more would be beyond the quota. It counts none.
func (p Place) CheckTrials(asked int) error {
	has := p.trials
	if has.limit == 0 || has.used+int64(asked) <= has.limit {
		return nil
	}
	return &QuotaError{
		Quota: QuotaTrials, Asked: int64(asked), Used: has.used, Limit: has.limit, Again: time.Duration(has.left * float64(time.Second)),
	}
}

// Usage is what a workspace has of that which quotas limit.
type Usage struct {
	TrialsToday int64 // submitted since midnight UTC of the database's clock
	Bytes       int64 // of bars, of the passages of documents, and of files that wait to be ingested
	Datasets    int64 // by name
	Documents   int64
}

const (
	// Lengths are in the heads of values, which are not read for them.
	storedBytes = `
		(select coalesce(sum(octet_length(data)), 0) from datasets where workspace_id = $1)
		+ (select coalesce(sum(coalesce(bytes, tokens * 4)), 0) from documents where workspace_id = $1)`
	waitingBytes = `(select coalesce(sum(size), 0) from ingest_uploads where workspace_id = $1)`
	datasetNames = `(select count(distinct coalesce(series, name)) from datasets where workspace_id = $1)`
	allDocuments = `(select count(*) from documents where workspace_id = $1)`
)

// UsageOf reads what a workspace has.
func (s *DB) UsageOf(ctx context.Context, workspace uuid.UUID) (Usage, error) {
	var u Usage
	err := s.InFleet(ctx, func(tx *Tx) error {
		err := tx.QueryRow(ctx, `
			select case when w.trials_per_day is not null and w.trials_day = clock.day then w.trials_used
			            else trials_since($1, clock.day at time zone 'utc') end,
			       (`+storedBytes+` + `+waitingBytes+`)::bigint, `+datasetNames+`, `+allDocuments+`
			  from workspaces w, `+utcClock+` where w.id = $1`, workspace).
			Scan(&u.TrialsToday, &u.Bytes, &u.Datasets, &u.Documents)
		if err != nil {
			return fmt.Errorf("read the usage of workspace %s: %w", workspace, err)
		}
		return nil
	})
	return u, err
}

// Added is what a transaction has added to a workspace; what is 0 is not held against its quota.
type Added struct{ Bytes, Datasets, Documents int64 }

// CheckQuota is a *QuotaError when the transaction, which has made its rows already, has taken the workspace beyond its quota
// of what it added. Where there is one, transactions that check are one after the other until they end, so that they
// cannot go beyond it together. Where there is none, this is one look at a row.
func CheckQuota(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, added Added) error {
	return checkQuota(ctx, tx, workspace, added, storedBytes)
}

// CheckUploadQuota is CheckQuota of the bytes of a file that is being received, with those of others that wait.
func CheckUploadQuota(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, bytes int64) error {
	return checkQuota(ctx, tx, workspace, Added{Bytes: bytes}, storedBytes+` + `+waitingBytes)
}

func checkQuota(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, added Added, bytes string) error {
	var maxBytes, maxDatasets, maxDocuments *int64
	err := tx.QueryRow(ctx, `select max_bytes, max_datasets, max_documents from workspaces where id = $1`, workspace).
		Scan(&maxBytes, &maxDatasets, &maxDocuments)
	if err != nil {
		return fmt.Errorf("read the quotas of workspace %s: %w", workspace, err)
	}
	locked := false
	for _, q := range []struct {
		quota string
		limit *int64
		added int64
		count string
	}{
		{QuotaBytes, maxBytes, added.Bytes, bytes},
		{QuotaDatasets, maxDatasets, added.Datasets, datasetNames},
		{QuotaDocuments, maxDocuments, added.Documents, allDocuments},
	} {
		if q.limit == nil || q.added == 0 {
			continue
		}
		if !locked {
			if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('millrace quota ' || $1::uuid::text, 0))`, workspace); err != nil {
				return fmt.Errorf("lock the quotas of workspace %s: %w", workspace, err)
			}
			locked = true
		}
		var has int64
		if err := tx.QueryRow(ctx, `select (`+q.count+`)::bigint`, workspace).Scan(&has); err != nil {
			return fmt.Errorf("count %s of workspace %s: %w", q.quota, workspace, err)
		}
		if has > *q.limit {
			return &QuotaError{Quota: q.quota, Asked: q.added, Used: has - q.added, Limit: *q.limit}
		}
	}
	return nil
}
