package schedules_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/calendar"
	"millrace/store"
	"millrace/store/schedules"
	"millrace/store/storetest"
)

type fixture struct {
	*storetest.Fixture
	schedules *schedules.Store
}

// newFixture is a database whose schedules go by a clock that the test sets.
func newFixture(t testing.TB, now string) *fixture {
	d := &fixture{Fixture: storetest.New(t)}
	d.schedules = d.Store.Schedules
	d.Exec(`create table test_clock (at timestamptz not null)`)
	d.Exec(`grant select on test_clock to public`)
	d.Exec(`insert into test_clock values ($1::timestamptz)`, now)
	d.schedules.SetClock("(select at from test_clock)")
	return d
}

func (d *fixture) setClock(now any) { d.Exec(`update test_clock set at = $1::timestamptz`, now) }

// create makes a schedule of a tune. It may be called from any goroutine.
func (d *fixture) create(in schedules.Schedule) (*schedules.Schedule, error) {
	return d.createIn(d.Space.ID, in)
}

func (d *fixture) createIn(workspace uuid.UUID, in schedules.Schedule) (*schedules.Schedule, error) {
	in.Kind, in.Request = schedules.Tune, json.RawMessage(`{"dataset": "walk", "strategy_name": "sma_cross"}`)
	if in.TimeZone == "" {
		in.TimeZone = "UTC"
	}
	if in.Missed == "" {
		in.Missed = calendar.Once
	}
	var made *schedules.Schedule
	_, err := d.schedules.Create(d.T.Context(), store.Submission{Workspace: workspace, Route: "test"}, in,
		func(s *schedules.Schedule) (store.Response, error) {
			made = s
			return store.Response{Status: 201}, nil
		})
	return made, err
}

func (d *fixture) made(in schedules.Schedule) *schedules.Schedule {
	d.T.Helper()
	made, err := d.create(in)
	require.NoError(d.T, err)
	return made
}

func (d *fixture) get(id uuid.UUID) *schedules.Schedule {
	d.T.Helper()
	found, err := d.schedules.Get(d.T.Context(), d.Space.ID, id)
	require.NoError(d.T, err)
	return found
}

// fire works the job of the next slot.
func (d *fixture) fire(id uuid.UUID) int {
	d.T.Helper()
	schedule := d.get(id)
	require.NotNil(d.T, schedule.JobID, "nothing is to come")
	fired, err := d.schedules.Fire(d.T.Context(), d.Claim(*schedule.JobID, "w"), id)
	require.NoError(d.T, err)
	return fired
}

// slots are the history, oldest first.
func (d *fixture) slots(id uuid.UUID) []*schedules.Slot {
	d.T.Helper()
	slots, err := d.schedules.History(d.T.Context(), d.Space.ID, id, uuid.Nil, 1000)
	require.NoError(d.T, err)
	for i, j := 0, len(slots)-1; i < j; i, j = i+1, j-1 {
		slots[i], slots[j] = slots[j], slots[i]
	}
	return slots
}

// submit works the job of a slot that is due: its work is a tune of the fixture's, which is returned.
func (d *fixture) submit(slot *schedules.Slot, key string) uuid.UUID {
	d.T.Helper()
	tune, _ := d.Tune(key)
	require.NotNil(d.T, slot.JobID)
	require.NoError(d.T, d.schedules.Submit(d.T.Context(), d.Claim(*slot.JobID, "w"), slot, 0,
		func(context.Context, *store.Tx) (uuid.UUID, error) { return tune.ID, nil }))
	return tune.ID
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return parsed
}
