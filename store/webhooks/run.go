package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/workers"
)

// dispatchLock is held by the one process of the fleet that dispatches: "mhook" in ASCII.
const dispatchLock = int64(0x6d686f6f6b)

// dueSQL finds the active webhooks without a live job that are behind the log's bound ($1, $2), or that have to
// look: a reset, a failure to retry, a place of another log ($3) or before its begin ($4). wanted says whether an
// event that they may want is among what they are behind by; labels are looked at by the job. Quick receivers come
// first, then of each workspace the one that has waited longest.
const dueSQL = `
	select w.id, w.reset_id is not null or w.attempts > 0 or w.epoch <> $3 or w.xid < $4 or exists (
	           select from event_log e
	            where e.workspace_id = w.workspace_id and (e.xid, e.id) < ($1, $2)
	              and (e.xid, e.id) >= (w.xid, w.event_id & ~1048575::bigint)
	              and (e.xid > w.xid or e.id + coalesce(cardinality(e.job_ids), 1) - 1 > w.event_id)
	              and (cardinality(w.topics) = 0 or e.topic = any (w.topics))
	              and (cardinality(w.types) = 0 or exists (
	                   select from unnest(w.types) t where e.type = t or t like '%.*' and starts_with(e.type, left(t, -1))))
	              and (w.entity = '' or e.entity_id = w.entity or e.job_ids is not null)) as wanted, w.quick
	  from webhooks w left join river_job j on j.id = w.job_id
	 where w.state = 'active' and (w.retry_at is null or w.retry_at <= clock_timestamp())
	   and (j.id is null or j.state in ('completed', 'cancelled', 'discarded'))
	   and (w.reset_id is not null or w.attempts > 0 or w.epoch <> $3 or w.xid < $4 or exists (
	           select from event_log e
	            where e.workspace_id = w.workspace_id and (e.xid, e.id) < ($1, $2)
	              and (e.xid, e.id) >= (w.xid, w.event_id & ~1048575::bigint)
	              and (e.xid > w.xid or e.id + coalesce(cardinality(e.job_ids), 1) - 1 > w.event_id)))
	 order by w.quick desc, row_number() over (partition by w.workspace_id, w.quick order by w.job_id nulls first), w.job_id nulls first limit 1000`

// slowSQL counts the live jobs of webhooks whose receivers are slow or not known yet.
const slowSQL = `
	select count(*) from webhooks w join river_job j on j.id = w.job_id
	 where w.state = 'active' and not w.quick and j.state not in ('completed', 'cancelled', 'discarded')`

// Dispatch inserts a job for each webhook that has something to deliver and no live job, and moves the others
// past what they do not want. It returns how many jobs it inserted. Processes that call it at once do not wait for
// each other: one dispatches.
func (s *Store) Dispatch(ctx context.Context) (inserted int, err error) {
	bounds, err := s.log.Bounds(ctx)
	if err != nil {
		return 0, err
	}
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		var elected, active bool
		err := tx.QueryRow(ctx, `select pg_try_advisory_xact_lock($1), exists (select from webhooks where state = 'active')`, dispatchLock).Scan(&elected, &active)
		if err != nil {
			return fmt.Errorf("dispatch webhooks: %w", err)
		}
		if !elected || !active {
			return nil
		}
		// In a statement before the one that looks: what lies below is visible to that.
		var xid uint64
		var id int64
		if err := tx.QueryRow(ctx, `select xid, id from event_log_bound()`).Scan(&xid, &id); err != nil {
			return fmt.Errorf("dispatch webhooks: read the log's bound: %w", err)
		}
		rows, err := tx.Query(ctx, dueSQL, xid, id, bounds.Floor.Epoch, bounds.Floor.XID)
		if err != nil {
			return fmt.Errorf("dispatch webhooks: %w", err)
		}
		var wanting, slow, idle []uuid.UUID
		var hook uuid.UUID
		var wanted, quick bool
		_, err = pgx.ForEachRow(rows, []any{&hook, &wanted, &quick}, func() error {
			switch {
			case !wanted:
				idle = append(idle, hook)
			case quick:
				wanting = append(wanting, hook)
			default:
				slow = append(slow, hook)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("dispatch webhooks: %w", err)
		}
		room, err := slowRoom(ctx, tx, len(slow))
		if err != nil {
			return err
		}
		wanting = append(wanting, slow[:room]...)
		for _, hook := range wanting {
			job, err := s.db.River().InsertTx(ctx, tx, jobs.WebhookArgs{WebhookID: hook}, nil)
			if err != nil {
				return fmt.Errorf("insert webhook job: %w", err)
			}
			if _, err := tx.Exec(ctx, `update webhooks set job_id = $2 where id = $1`, hook, job.Job.ID); err != nil {
				return fmt.Errorf("dispatch webhook %s: %w", hook, err)
			}
			inserted++
		}
		if len(idle) == 0 {
			return nil
		}
		_, err = tx.Exec(ctx, `
			update webhooks set xid = $2, event_id = greatest($3::bigint - 1, 0)
			 where id = any ($1) and state = 'active' and (xid, event_id) < ($2, greatest($3::bigint - 1, 0))`, idle, xid, id)
		if err != nil {
			return fmt.Errorf("move webhooks past what they do not want: %w", err)
		}
		return nil
	})
	return inserted, err
}

// slowRoom is how many of so many webhooks may have a job now whose receivers are slow or not known yet: those hold half of
// the fleet's slots at most, and one in any case.
func slowRoom(ctx context.Context, tx *store.Tx, waiting int) (int, error) {
	if waiting == 0 {
		return 0, nil
	}
	slots, err := workers.Slots(ctx, tx, jobs.QueueWebhooks)
	if err != nil {
		return 0, err
	}
	var live int
	if err := tx.QueryRow(ctx, slowSQL).Scan(&live); err != nil {
		return 0, fmt.Errorf("count slow webhooks: %w", err)
	}
	return min(waiting, max(0, max(1, slots/2)-live)), nil
}

// Run is what a job needs of a webhook to deliver.
type Run struct {
	Webhook
	Place   eventlog.Cursor
	Quick   bool     // its receiver accepted its newest message promptly
	ResetID string   // of the message that is due before all else; "" for none
	Secrets []string // all sign; the newest first
}

// Begin reads a webhook as it is now. It is ErrEnded when it is not active, ErrNotFound when it is deleted and
// ErrSealed when its secret cannot be opened.
func (s *Store) Begin(ctx context.Context, id uuid.UUID, keys Keyring) (run Run, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		run, err = s.begin(ctx, tx, id, keys)
		return err
	})
	if err == nil && run.State != Active {
		err = &store.EndedError{What: "webhook", State: string(run.State)}
	}
	return run, err
}

func (s *Store) begin(ctx context.Context, tx *store.Tx, id uuid.UUID, keys Keyring) (run Run, err error) {
	if run.Webhook, err = store.ReadOne(ctx, tx, "webhook "+id.String(), scanWebhook, `select `+columns+` from webhooks where id = $1`, id); err != nil {
		return run, err
	}
	var secret, old []byte
	var reset *string
	err = tx.QueryRow(ctx, `
		select epoch, xid, event_id, reset_id, secret, case when old_until > clock_timestamp() then old_secret end, quick from webhooks where id = $1`, id).
		Scan(&run.Place.Epoch, &run.Place.XID, &run.Place.ID, &reset, &secret, &old, &run.Quick)
	if err != nil {
		return run, fmt.Errorf("read webhook %s: %w", id, err)
	}
	if reset != nil {
		run.ResetID = *reset
	}
	for _, sealed := range [][]byte{secret, old} {
		if sealed == nil {
			continue
		}
		opened, err := keys.open(id, sealed)
		if err != nil {
			return run, fmt.Errorf("webhook %s: %w", id, err)
		}
		run.Secrets = append(run.Secrets, opened)
	}
	return run, nil
}

// Lost moves the webhook to the log's present end, under the lease, and has a message due that says so: events
// after its place are gone, or the log is another one.
func (s *Store) Lost(ctx context.Context, lease store.Lease, id uuid.UUID) error {
	bounds, err := s.log.Bounds(ctx)
	if err != nil {
		return err
	}
	return s.db.ContinueInFleet(ctx, lease, id, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			update webhooks w set epoch = $2, xid = b.xid, event_id = greatest(b.id - 1, 0), reset_id = coalesce(reset_id, 'reset_' || gen_random_uuid())
			  from event_log_bound() b where w.id = $1 and w.state = 'active'`, id, bounds.Floor.Epoch)
		if err != nil {
			return fmt.Errorf("move webhook %s to the log's end: %w", id, err)
		}
		return nil
	})
}

// Labelled returns those of the ids whose tune, walk-forward or dataset has the tag.
func (s *Store) Labelled(ctx context.Context, workspace uuid.UUID, tag string, ids []string) (map[string]bool, error) {
	found := map[string]bool{}
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select subject_id::text from labels where workspace_id = $1 and $2 = any (tags) and subject_id::text = any ($3)`, workspace, tag, ids)
		if err != nil {
			return fmt.Errorf("find labels: %w", err)
		}
		var id string
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			found[id] = true
			return nil
		})
		return err
	})
	return found, err
}

// Progress is what came of sending some messages, in their order.
type Progress struct {
	Place     eventlog.Cursor // behind all that was accepted and all that is not wanted
	Accepted  []Attempt
	Failed    *Attempt // the one after them, if it was not
	Closed    bool     // the receiver said that it is gone
	Slow      bool     // the newest of them all took long
	RetryIn   time.Duration
	DeadAfter time.Duration // of failing
}

// Commit records progress under the lease, and reports whether the webhook's settings or secret are not those of w any
// more. It is ErrEnded when the webhook is not active any more: what was accepted meanwhile is sent again when it is.
func (s *Store) Commit(ctx context.Context, lease store.Lease, w Run, p Progress) (state State, changed bool, err error) {
	err = s.db.ContinueInFleet(ctx, lease, w.ID, func(tx *store.Tx) error {
		var failed, status any
		if p.Failed != nil {
			failed, status = p.Failed.Error, p.Failed.Status
		}
		err := tx.QueryRow(ctx, `
			update webhooks set epoch = $2, xid = $3, event_id = $4, delivered = delivered + $5,
			       last_delivered_at = case when $5 > 0 then clock_timestamp() else last_delivered_at end,
			       reset_id = case when $6 then null else reset_id end,
			       attempts = case when not $7 then 0 when $5 > 0 then 1 else attempts + 1 end,
			       -- What waited for a key of ours has not failed for that long.
			       failing_since = case when not $7 then null when $5 > 0 or last_error = $13 then clock_timestamp()
			                            else coalesce(failing_since, clock_timestamp()) end,
			       retry_at = case when $7 then clock_timestamp() + $8::interval end,
			       state = case when $7 and $11 then 'gone'
			                    when $7 and $5 = 0 and last_error is distinct from $13 and failing_since <= clock_timestamp() - $12::interval then 'dead'
			                    else state end,
			       last_error = case when $7 then $9::text else last_error end, last_status = case when $7 then $10::int else last_status end,
			       quick = case when $15 then false when $5 > 0 then true else quick end
			 where id = $1 and state = 'active'
			returning state, updated_at <> $14`,
			w.ID, p.Place.Epoch, p.Place.XID, p.Place.ID, len(p.Accepted), p.acceptedReset(), p.Failed != nil, p.RetryIn, failed, status, p.Closed, p.DeadAfter,
			ErrSealed.Error(), w.UpdatedAt, p.Slow).Scan(&state, &changed)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("webhook %s: %w", w.ID, store.ErrEnded)
		}
		if err != nil {
			return fmt.Errorf("record the progress of webhook %s: %w", w.ID, err)
		}
		attempts := p.Accepted
		if p.Failed != nil {
			attempts = append(attempts[:len(attempts):len(attempts)], *p.Failed)
		}
		return record(ctx, tx, w.WorkspaceID, w.ID, attempts)
	})
	return state, changed, err
}

func (p Progress) acceptedReset() bool {
	return len(p.Accepted) > 0 && p.Accepted[0].Kind == Reset
}

// Wait has a webhook wait that cannot be delivered for a reason of ours. It is ErrEnded when it is not active.
func (s *Store) Wait(ctx context.Context, lease store.Lease, id uuid.UUID, reason string, pause time.Duration) error {
	return s.db.ContinueInFleet(ctx, lease, id, func(tx *store.Tx) error {
		tag, err := tx.Exec(ctx, `
			update webhooks set last_error = $2, last_status = null, retry_at = clock_timestamp() + $3::interval, attempts = greatest(attempts, 1),
			       failing_since = coalesce(failing_since, clock_timestamp())
			 where id = $1 and state = 'active'`, id, reason, pause)
		if err == nil && tag.RowsAffected() == 0 {
			err = store.ErrEnded
		}
		if err != nil {
			return fmt.Errorf("have webhook %s wait: %w", id, err)
		}
		return nil
	})
}
