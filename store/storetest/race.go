package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/ops/routine"
	"millrace/store"
)

// raceRounds is how often each pair of transitions is run at once.
const raceRounds = 5

// Move is one transition of a state machine.
type Move struct {
	Name string
	Do   func(context.Context) error
	// Ends is the status that the subject of that name has when the move went through; "" when it ends none.
	Subject, Ends string
	// Always: it goes through whatever has ended.
	Always bool
}

// Subject is one thing whose end is recorded.
type Subject struct {
	Name   string
	Status string // a query for its status
	Events string // a query for the statuses that its events record, in the order of the log
	Args   []any
}

// Machine is a state machine in one of its states, with every transition that there is from it.
type Machine struct {
	Name  string
	Begin func(d *Fixture, key string) ([]Subject, []Move)
}

func ended(status string) bool {
	return slices.Contains([]string{"completed", "partial", "failed", "canceled", "resolved"}, status)
}

// RunTransitions runs every pair of transitions at once, and each after every end.
func RunTransitions(t *testing.T, machines []Machine) {
	for _, m := range machines {
		t.Run(m.Name+" at once", func(t *testing.T) {
			t.Parallel()
			raceTransitions(t, m)
		})
		t.Run(m.Name+" after the end", func(t *testing.T) {
			t.Parallel()
			refuseAfterTheEnd(t, m)
		})
	}
}

// raceTransitions runs every pair of transitions at once, the same one twice included: each subject ends at
// most once, with one event that is its last and says what its row says; and a transition that comes too late
// gets an error that says so.
func raceTransitions(t *testing.T, m Machine) {
	d := New(t)
	_, moves := m.Begin(d, "count")
	seen := map[string]bool{}
	for a := range moves {
		for b := a; b < len(moves); b++ {
			for round := range raceRounds {
				subjects, moves := m.Begin(d, fmt.Sprint(a, " ", b, " ", round))
				outcome := d.race(moves[a], moves[b], subjects)
				seen[outcome] = true
			}
		}
	}
	t.Logf("%d transitions, %d outcomes", len(moves), len(seen))
}

// refuseAfterTheEnd makes every transition after every end: it is refused with an error that says so, and
// nothing is dropped in silence.
func refuseAfterTheEnd(t *testing.T, m Machine) {
	d := New(t)
	_, moves := m.Begin(d, "count")
	for e, end := range moves {
		for l, late := range moves {
			if end.Ends == "" || late.Always || late.Subject != "" && late.Subject != end.Subject {
				continue
			}
			subjects, moves := m.Begin(d, fmt.Sprint("late ", e, " ", l))
			require.NoError(t, moves[e].Do(t.Context()), end.Name)
			err := moves[l].Do(t.Context())
			what := fmt.Sprintf("%s after %s: %v", late.Name, end.Name, err)
			require.True(t, isRefusal(err), what)
			for _, s := range subjects {
				d.CheckEnd(s, moves[e], Move{}, nil, what)
			}
		}
	}
}

// isRefusal reports whether an error says that a transition came too late.
func isRefusal(err error) bool {
	return errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrNotFound)
}

// race runs two moves at once and checks what is left.
func (d *Fixture) race(a, b Move, subjects []Subject) (outcome string) {
	d.T.Helper()
	start := make(chan struct{})
	results := make(chan error, 2)
	for _, m := range []Move{a, b} {
		routine.Go(func() error {
			<-start
			if err := m.Do(d.T.Context()); err != nil {
				return fmt.Errorf("%s: %w", m.Name, err)
			}
			return nil
		}, func(err error) { results <- err })
	}
	close(start)
	errs := []error{<-results, <-results}
	what := fmt.Sprintf("%s and %s: %v", a.Name, b.Name, errs)
	failed := map[string]int{}
	for _, err := range errs {
		if err == nil {
			continue
		}
		require.True(d.T, isRefusal(err), what)
		name, _, _ := strings.Cut(err.Error(), ": ")
		failed[name]++
	}
	for _, s := range subjects {
		d.CheckEnd(s, a, b, failed, what)
	}
	return what
}

// CheckEnd checks that a subject ended at most once and as its event says, and that of two moves that
// end it one was refused.
func (d *Fixture) CheckEnd(s Subject, a, b Move, failed map[string]int, what string) {
	d.T.Helper()
	what = s.Name + " after " + what
	var status string
	err := d.Owner.QueryRow(d.T.Context(), s.Status, s.Args...).Scan(&status)
	require.NoError(d.T, err, what)
	rows, err := d.Owner.Query(d.T.Context(), s.Events, s.Args...)
	require.NoError(d.T, err, what)
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(d.T, err, what)
	var ends []string
	for _, event := range events {
		if ended(event) {
			ends = append(ends, event)
		}
	}
	if !ended(status) {
		require.Empty(d.T, ends, "%s: it is %s", what, status)
	} else {
		require.Equal(d.T, []string{status}, ends, "%s: events %v", what, events)
		require.Equal(d.T, status, events[len(events)-1], "%s: something was recorded after the end: %v", what, events)
	}
	var won []string
	for _, m := range []Move{a, b} {
		if m.Subject != s.Name {
			continue
		}
		if failed[m.Name] > 0 {
			failed[m.Name]--
			continue
		}
		won = append(won, m.Ends)
	}
	require.LessOrEqual(d.T, len(won), 1, "%s: both went through", what)
	if len(won) == 1 {
		require.Equal(d.T, won[0], status, "%s: the one that went through does not stand", what)
	}
}

// Loses makes another attempt of the job begin, as after the loss of its worker.
func (d *Fixture) Loses(job int64) Move {
	return Move{Name: "lose the job", Always: true, Do: func(ctx context.Context) error {
		_, err := d.Owner.Exec(ctx, `
			update river_job set attempt = attempt + 1, attempted_by = array_append(attempted_by, 'heir')
			 where id = $1 and state = 'running'`, job)
		return err
	}}
}

// Reconciles has the reconciler look for lost work.
func (d *Fixture) Reconciles() Move {
	return Move{Name: "reconcile", Always: true, Do: func(ctx context.Context) error {
		_, err := d.Store.Workers.Reconcile(ctx)
		return err
	}}
}

// StatusSubject is a tune, run plan, ingestion or re-embedding: its events carry its status.
func StatusSubject(name, table string, id any) Subject {
	return Subject{Name: name, Args: []any{id},
		Status: `select status from ` + table + ` where id = $1`,
		Events: `select payload ->> 'status' from event_log where entity_id = $1::uuid::text and topic <> 'jobs' order by xid, id`}
}

// CancelsTune cancels a tune.
func (d *Fixture) CancelsTune(id uuid.UUID) Move {
	return Move{Name: "cancel", Do: func(ctx context.Context) error {
		_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, id)
		return err
	}, Subject: "tune", Ends: "canceled"}
}

// FailsTune fails a tune under the lease of one of its jobs.
func (d *Fixture) FailsTune(lease store.Lease, id uuid.UUID) Move {
	return Move{Name: "fail", Do: func(ctx context.Context) error {
		return d.Store.Tuning.Fail(ctx, lease, id, store.Failure{Reason: "it cannot be worked"})
	}, Subject: "tune", Ends: "failed"}
}

// CompletesTune completes a tune under the lease of the job that ranks it.
func (d *Fixture) CompletesTune(lease store.Lease, id uuid.UUID) Move {
	return Move{Name: "complete", Do: func(ctx context.Context) error {
		return d.Store.Tuning.Complete(ctx, lease, id, OutcomeOf(5, 10))
	}, Subject: "tune", Ends: "completed"}
}
