package admission_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/tuning"
)

// Whatever is submitted, cancelled and changed at once, no more is admitted than the cap allows, and
// in the end nothing waits for which there is room.
func TestTheCapHoldsUnderEverythingAtOnce(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	const most = 5
	var mu sync.Mutex
	var open []uuid.UUID
	take := func() (id uuid.UUID) {
		mu.Lock()
		defer mu.Unlock()
		if len(open) > 0 {
			id, open = open[0], open[1:]
		}
		return id
	}
	var clients sync.WaitGroup
	for client := range 6 {
		clients.Go(func() {
			for i := range 12 {
				switch {
				case i%3 < 2:
					tune, err := d.Submit(fmt.Sprint(client, "-", i))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					open = append(open, tune.ID)
					mu.Unlock()
				case client == 0:
					if _, err := d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{TuneCap: new(2 + i%4)}); err != nil {
						t.Error(err)
						return
					}
				default:
					if id := take(); id != uuid.Nil {
						if _, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, id); err != nil {
							t.Error(err)
							return
						}
					}
				}
			}
		})
	}
	watched := make(chan struct{})
	go func() { clients.Wait(); close(watched) }()
	const admitted = `select count(*) filter (where admitted), count(*) filter (where not admitted) from tunes where status in ('queued', 'running')`
	var in, waiting int
	for running := true; running; {
		select {
		case <-watched:
			running = false
		default:
		}
		require.NoError(t, d.Owner.QueryRow(ctx, admitted).Scan(&in, &waiting))
		require.LessOrEqual(t, in, most)
	}
	_, err := d.Store.Tenants.ChangeWorkspace(ctx, d.Space.ID, tenants.WorkspaceChange{TuneCap: new(most)})
	require.NoError(t, err)
	require.NoError(t, d.Owner.QueryRow(ctx, admitted).Scan(&in, &waiting))
	require.Equal(t, most, in)
	require.Positive(t, waiting)
	for range in + waiting {
		_, err := d.Store.Tuning.Cancel(ctx, d.Space.ID, take())
		require.NoError(t, err)
		require.NoError(t, d.Owner.QueryRow(ctx, admitted).Scan(&in, &waiting))
		require.True(t, in == most || in < most && waiting == 0, "%d are in, %d wait", in, waiting)
	}
}

func TestTheCapHoldsTunesBackUntilOthersEnd(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	first, firstPlan := d.Tune("1")
	_, secondPlan := d.Tune("2")
	third, thirdPlan := d.Tune("3")
	fourth, fourthPlan := d.Tune("4")
	require.Equal(t, []string{"available", "available", "pending", "pending"},
		[]string{d.JobState(firstPlan), d.JobState(secondPlan), d.JobState(thirdPlan), d.JobState(fourthPlan)})
	_, err := d.Store.Tuning.Cancel(t.Context(), d.Space.ID, third.ID)
	require.NoError(t, err)
	require.Equal(t, "cancelled", d.JobState(thirdPlan))
	require.Equal(t, "pending", d.JobState(fourthPlan), "a tune that waited frees no slot")
	_, err = d.Store.Tuning.Cancel(t.Context(), d.Space.ID, first.ID)
	require.NoError(t, err)
	require.Equal(t, "available", d.JobState(fourthPlan))
	_, err = d.Store.Tuning.Cancel(t.Context(), d.Space.ID, first.ID)
	require.ErrorIs(t, err, store.ErrEnded)
	require.Equal(t, tuning.Queued, d.TuneStatus(fourth.ID))
}

func TestConcurrentSubmissionsDoNotPassTheCap(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	const clients = 12
	errs := make(chan error, clients)
	for i := range clients {
		go func() {
			_, err := d.Submit(fmt.Sprint(i))
			errs <- err
		}()
	}
	for range clients {
		require.NoError(t, <-errs)
	}
	var admitted int
	require.NoError(t, d.Owner.QueryRow(t.Context(), `select count(*) from tunes where admitted`).Scan(&admitted))
	require.Equal(t, 2, admitted)
}

// A walk-forward takes one place of the cap, whatever the number of its folds.
func TestAWalkForwardCountsAsOne(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	first, folds := d.WalkForward("1", 4, false)
	_, plan := d.Tune("2")
	second, waiting := d.WalkForward("3", 3, false)
	_, later := d.Tune("4")
	require.Equal(t, "available", d.JobState(plan))
	require.False(t, second.Admitted)
	require.Equal(t, "pending", d.JobState(d.PlanJob(*waiting[0].TuneID)))
	require.Equal(t, "pending", d.JobState(later))
	d.RunFold(folds[0], storetest.OutcomeOf(5))
	require.Equal(t, "pending", d.JobState(later), "the end of a fold frees no place")
	_, err := d.Store.WalkForward.Cancel(t.Context(), d.Space.ID, first.ID)
	require.NoError(t, err)
	require.Equal(t, "available", d.JobState(d.PlanJob(*waiting[0].TuneID)), "the next in line")
	require.Equal(t, "pending", d.JobState(later))
	require.True(t, d.WalkForwardNow(second.ID).Admitted)
}
