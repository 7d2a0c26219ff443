package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store"
)

// raceRounds is how often each pair of transitions is run at once.
const raceRounds = 5

// move is one transition of a state machine.
type move struct {
	name string
	do   func(context.Context) error
	// ends is the status that the subject of that name has when the move went through; "" when it ends none.
	subject, ends string
	// always: it goes through whatever has ended.
	always bool
}

// subject is one thing whose end is recorded.
type subject struct {
	name   string
	status string // a query for its status
	events string // a query for the statuses that its events record, in the order of the log
	args   []any
}

// machine is a state machine in one of its states, with every transition that there is from it.
type machine struct {
	name  string
	begin func(d *fixture, key string) ([]subject, []move)
}

func ended(status string) bool {
	return slices.Contains([]string{"completed", "partial", "failed", "canceled", "resolved"}, status)
}

// Every pair of transitions at once, the same one twice included: each subject ends at most once, with
// one event that is its last and says what its row says; and a transition that comes too late gets an error
// that says so.
func TestTwoTransitionsAtOnceEndNothingTwice(t *testing.T) {
	for _, m := range slices.Concat(tuneMachines(), walkForwardMachines(), knowledgeMachines()) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			_, moves := m.begin(d, "count")
			seen := map[string]bool{}
			for a := range moves {
				for b := a; b < len(moves); b++ {
					for round := range raceRounds {
						subjects, moves := m.begin(d, fmt.Sprint(a, " ", b, " ", round))
						outcome := d.race(moves[a], moves[b], subjects)
						seen[outcome] = true
					}
				}
			}
			t.Logf("%d transitions, %d outcomes", len(moves), len(seen))
		})
	}
}

// What comes after the end is refused with an error that says so: nothing is dropped in silence.
func TestATransitionAfterTheEndIsRefused(t *testing.T) {
	for _, m := range slices.Concat(tuneMachines(), walkForwardMachines(), knowledgeMachines()) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			_, moves := m.begin(d, "count")
			for e, end := range moves {
				for l, late := range moves {
					if end.ends == "" || late.always || late.subject != "" && late.subject != end.subject {
						continue
					}
					subjects, moves := m.begin(d, fmt.Sprint("late ", e, " ", l))
					require.NoError(t, moves[e].do(t.Context()), end.name)
					err := moves[l].do(t.Context())
					what := fmt.Sprintf("%s after %s: %v", late.name, end.name, err)
					require.True(t, isRefusal(err), what)
					for _, s := range subjects {
						d.checkEnd(s, moves[e], move{}, nil, what)
					}
				}
			}
		})
	}
}

// isRefusal reports whether an error says that a transition came too late.
func isRefusal(err error) bool {
	return errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrNotFound)
}

// race runs two moves at once and checks what is left.
func (d *fixture) race(a, b move, subjects []subject) (outcome string) {
	d.t.Helper()
	start := make(chan struct{})
	results := make(chan error, 2)
	for _, m := range []move{a, b} {
		go func() {
			<-start
			if err := m.do(d.t.Context()); err != nil {
				results <- fmt.Errorf("%s: %w", m.name, err)
				return
			}
			results <- nil
		}()
	}
	close(start)
	errs := []error{<-results, <-results}
	what := fmt.Sprintf("%s and %s: %v", a.name, b.name, errs)
	failed := map[string]int{}
	for _, err := range errs {
		if err == nil {
			continue
		}
		require.True(d.t, isRefusal(err), what)
		name, _, _ := strings.Cut(err.Error(), ": ")
		failed[name]++
	}
	for _, s := range subjects {
		d.checkEnd(s, a, b, failed, what)
	}
	return what
}

// checkEnd checks that a subject ended at most once and as its event says, and that of two moves that
// end it one was refused.
func (d *fixture) checkEnd(s subject, a, b move, failed map[string]int, what string) {
	d.t.Helper()
	what = s.name + " after " + what
	var status string
	err := d.owner.QueryRow(d.t.Context(), s.status, s.args...).Scan(&status)
	require.NoError(d.t, err, what)
	rows, err := d.owner.Query(d.t.Context(), s.events, s.args...)
	require.NoError(d.t, err, what)
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(d.t, err, what)
	var ends []string
	for _, event := range events {
		if ended(event) {
			ends = append(ends, event)
		}
	}
	if !ended(status) {
		require.Empty(d.t, ends, "%s: it is %s", what, status)
	} else {
		require.Equal(d.t, []string{status}, ends, "%s: events %v", what, events)
		require.Equal(d.t, status, events[len(events)-1], "%s: something was recorded after the end: %v", what, events)
	}
	var won []string
	for _, m := range []move{a, b} {
		if m.subject != s.name {
			continue
		}
		if failed[m.name] > 0 {
			failed[m.name]--
			continue
		}
		won = append(won, m.ends)
	}
	require.LessOrEqual(d.t, len(won), 1, "%s: both went through", what)
	if len(won) == 1 {
		require.Equal(d.t, won[0], status, "%s: the one that went through does not stand", what)
	}
}

// loses makes another attempt of the job begin, as after the loss of its worker.
func (d *fixture) loses(job int64) move {
	return move{name: "lose the job", always: true, do: func(ctx context.Context) error {
		_, err := d.owner.Exec(ctx, `
			update river_job set attempt = attempt + 1, attempted_by = array_append(attempted_by, 'heir')
			 where id = $1 and state = 'running'`, job)
		return err
	}}
}

// reconciles has the reconciler look for lost work.
func (d *fixture) reconciles() move {
	return move{name: "reconcile", always: true, do: func(ctx context.Context) error {
		_, err := d.store.Workers.Reconcile(ctx)
		return err
	}}
}

// statusSubject is a tune, run plan, ingestion or re-embedding: its events carry its status.
func statusSubject(name, table string, id any) subject {
	return subject{name: name, args: []any{id},
		status: `select status from ` + table + ` where id = $1`,
		events: `select payload ->> 'status' from event_log where entity_id = $1::uuid::text and topic <> 'jobs' order by xid, id`}
}
