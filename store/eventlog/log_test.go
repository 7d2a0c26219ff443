package eventlog_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store/eventlog"
	"millrace/store/storetest"
)

// Jobs that change alike share rows of the log, and each is an event of its own to readers: pages
// of any length, which begin and end within rows, join without a gap or a repetition.
func TestPagesJoinWithinSharedRows(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	bounds, err := d.Store.EventLog.Bounds(t.Context())
	require.NoError(t, err)
	const jobs = 450
	d.Exec(`insert into river_job (kind, args, queue, max_attempts, state)
		select 'test', jsonb_build_object('workspace_id', $1::text, 'tall', n % 2), 'q' || n % 2, 3, 'available'
		  from generate_series(1, $2) n`, d.Space.ID, jobs)
	d.Exec(`insert into event_log (workspace_id, topic, type, entity_id) values ($1, 'wfo', 'test', 'between')`, d.Space.ID)
	d.Exec(`update river_job set state = 'running' where id % 3 = 0`)
	d.AwaitReaders()
	var rows int
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select count(*) from event_log where workspace_id = $1`, d.Space.ID).Scan(&rows))
	require.Less(t, rows, 20, "a row for each job would cost River a third of its rate")
	all, err := d.Store.EventLog.Events(t.Context(), scope(d), bounds.Floor, 10_000)
	require.NoError(t, err)
	seen := map[string]int{}
	for i, e := range all {
		if i > 0 {
			require.True(t, all[i-1].Cursor.Before(e.Cursor))
		}
		seen[e.Type+e.EntityID]++
	}
	require.Len(t, seen, jobs+1+jobs/3)
	var first int64
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select min(id) from river_job where kind = 'test'`).Scan(&first))
	require.Equal(t, 1, seen["job.available"+strconv.FormatInt(first, 10)])

	for _, size := range []int{1, 7, 199, 200, 201, 450} {
		var paged []eventlog.Event
		for at := bounds.Floor; ; {
			page, err := d.Store.EventLog.Events(t.Context(), scope(d), at, size)
			require.NoError(t, err)
			paged = append(paged, page...)
			if len(page) < size {
				break // a short page is the log's end
			}
			at = page[len(page)-1].Cursor
		}
		require.Equal(t, all, paged, "pages of %d", size)
	}

	session, err := d.Store.EventLog.OpenSession(t.Context())
	require.NoError(t, err)
	defer session.Close(t.Context())
	var followed []eventlog.Event
	at := bounds.Floor
	for more := true; more; {
		var page []eventlog.Event
		page, more, err = session.Events(t.Context(), at, 130)
		require.NoError(t, err)
		if len(page) > 0 {
			at = page[len(page)-1].Cursor
		}
		for _, e := range page {
			if e.Workspace.UUID == d.Space.ID {
				followed = append(followed, e)
			}
		}
	}
	require.Equal(t, all, followed)
	newest, found, err := session.Newest(t.Context(), bounds.Floor)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, all[len(all)-1].Cursor, newest)
	_, found, err = session.Newest(t.Context(), newest)
	require.NoError(t, err)
	require.False(t, found)
}

// Jobs that a statement changes from different states, or leaves in theirs, are distinguished, also where more than a row holds
// change alike.
func TestAStatementThatChangesJobsOfDifferentStatesReportsTheStateBefore(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	d.Exec(`insert into river_job (kind, max_attempts, state, args, queue, metadata)
		select 'test', 1, case n % 3 when 0 then 'available' when 1 then 'retryable' else 'running' end::river_job_state,
		       jsonb_build_object('workspace_id', $1::uuid), 'q', jsonb_build_object('n', n)
		  from generate_series(1, 1500) n`, d.Space.ID)
	d.AwaitReaders()
	bounds, err := d.Store.EventLog.Bounds(t.Context())
	require.NoError(t, err)
	before, err := d.Store.EventLog.Events(t.Context(), scope(d), bounds.Floor, 10_000)
	require.NoError(t, err)
	d.Exec(`update river_job set state = 'running' where kind = 'test'`)
	d.Exec(`update river_job set state = 'completed', finalized_at = now() where kind = 'test'`)
	d.Exec(`update river_job set priority = 2 where kind = 'test'`)
	d.Exec(`update river_job set state = 'running' where kind = 'none'`)
	d.AwaitReaders()
	reported := map[string]map[string]int{}
	events, err := d.Store.EventLog.Events(t.Context(), scope(d), before[len(before)-1].Cursor, 10_000)
	require.NoError(t, err)
	for _, e := range events {
		var payload struct{ From string }
		require.NoError(t, json.Unmarshal(e.Payload, &payload))
		if reported[e.Type+" of "+payload.From] == nil {
			reported[e.Type+" of "+payload.From] = map[string]int{}
		}
		reported[e.Type+" of "+payload.From][e.EntityID]++
	}
	require.Len(t, events, 2500)
	require.Len(t, reported, 3)
	require.Len(t, reported["job.running of available"], 500)
	require.Len(t, reported["job.running of retryable"], 500)
	require.Len(t, reported["job.completed of running"], 1500)
	for id := range reported["job.running of available"] {
		require.NotContains(t, reported["job.running of retryable"], id)
	}
	var widest int
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select max(cardinality(job_ids)) from event_log`).Scan(&widest))
	require.Equal(t, 200, widest, "a row stays within a page of the table")
}
