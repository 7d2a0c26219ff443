package schedules_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/schedules"
)

// TestThousandSchedulesOverTwoClockChangesWithKills fires daily schedules over both changes of clocks of a year, in zones
// that change at unlike local times. Attempts are cut off within their transactions, run again by others while they
// still run, and the summer in between is missed. Every slot must be there once, fired or in a gap that was skipped.
func TestThousandSchedulesOverTwoClockChangesWithKills(t *testing.T) {
	t.Parallel()
	const count, parallel = 1000, 4
	zones := []string{"Europe/Berlin", "Europe/London", "Atlantic/Azores", "Europe/Athens", "Antarctica/Troll"}
	start := at(t, "2025-03-30T00:00:00Z")
	d := newFixture(t, start.Format(time.RFC3339))
	spaces := []uuid.UUID{d.Space.ID}
	for i := range parallel - 1 {
		space, err := d.Store.Tenants.CreateWorkspace(t.Context(), fmt.Sprint("more ", i), 2)
		require.NoError(t, err)
		spaces = append(spaces, space.ID)
	}
	lines, ids := map[uuid.UUID]string{}, make([]uuid.UUID, count)
	var mu sync.Mutex
	each(t, parallel, count, func(i int) error {
		random := rand.New(rand.NewPCG(uint64(i), 7))
		// Most of them around the hours in which clocks change.
		hour := random.IntN(4)
		if i%4 == 0 {
			hour = random.IntN(24)
		}
		zone := zones[i%len(zones)]
		minute := random.IntN(60)
		made, err := d.createIn(spaces[i%len(spaces)], schedules.Schedule{Name: fmt.Sprint(i), Cron: fmt.Sprintf("%d %d * * *", minute, hour), TimeZone: zone})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		ids[i] = made.ID
		lines[made.ID] = fmt.Sprintf("%s %02d:%02d", zone, hour, minute)
		return nil
	})
	var kills, zombies int
	var end time.Time
	for _, now := range []string{"2025-03-31T00:00:00Z", "2025-10-26T00:00:00Z", "2025-10-27T00:00:00Z"} {
		end = at(t, now)
		d.setClock(now)
		each(t, parallel, count, func(i int) error {
			k, z, err := d.fireDue(ids[i], rand.New(rand.NewPCG(uint64(i), uint64(end.Unix()))))
			mu.Lock()
			defer mu.Unlock()
			kills, zombies = kills+k, zombies+z
			return err
		})
		each(t, parallel, count, func(i int) error {
			_, _, err := d.fireDue(ids[i], nil)
			return err
		})
	}
	require.Greater(t, kills, 100, "too few attempts were cut off to show anything")
	require.Greater(t, zombies, 100, "too few attempts were run twice to show anything")

	expected := expectedSlots(t, zones, start, end)
	rows, err := d.Owner.Query(t.Context(), `select schedule_id, state, slots, first_at, slot_at from schedule_slots order by schedule_id, slot_at`)
	require.NoError(t, err)
	next := map[uuid.UUID]int{} // index into the expected slots of each
	var id uuid.UUID
	var state schedules.State
	var slots int
	var first, last time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &state, &slots, &first, &last}, func() error {
		want, from := expected[lines[id]], next[id]
		if from+slots > len(want) {
			return fmt.Errorf("%s has %d slots, more than %d: one is doubled", lines[id], from+slots, len(want))
		}
		if !want[from].Equal(first) || !want[from+slots-1].Equal(last) {
			return fmt.Errorf("%s has a slot at %s, expected was %s", lines[id], last.UTC(), want[from+slots-1].UTC())
		}
		next[id] += slots
		return nil
	})
	require.NoError(t, err)
	for id, line := range lines {
		require.Len(t, expected[line], next[id], "%s: slots are missing", line)
	}
	require.Equal(t, d.Count(`select count(*) from schedule_slots where state = 'due'`), d.Count(`select count(*) from river_job where kind = 'schedule.submit' and state = 'available'`))
	require.Equal(t, count, d.Count(`select count(*) from river_job where kind = 'schedule.fire' and state = 'scheduled'`), "schedules with one job that waits")
}

// each calls fn for all numbers below n from some goroutines.
func each(t *testing.T, goroutines, n int, fn func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, goroutines)
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < n && errs[g] == nil; i += goroutines {
				errs[g] = fn(i)
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

// fireDue fires a schedule if it is due. With a source of chance the attempt may be cut off, or
// overtaken by another while it runs.
func (d *fixture) fireDue(id uuid.UUID, random *rand.Rand) (kills, zombies int, err error) {
	ctx := d.T.Context()
	lease := store.Lease{}
	claim := func() error {
		return d.Owner.QueryRow(ctx, `
			update river_job j set state = 'running', attempt = attempt + 1, attempted_at = now(), attempted_by = array_append(attempted_by, 'w')
			  from schedules s
			 where s.id = $1 and s.next_at <= (select at from test_clock) and j.id = s.job_id and j.state in ('scheduled', 'available')
			returning j.id, j.attempt, s.workspace_id`, id).Scan(&lease.JobID, &lease.Attempt, &lease.Workspace)
	}
	if err := claim(); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, 0, nil
		}
		return 0, 0, err
	}
	rescue := func() error {
		_, err := d.Owner.Exec(ctx, `update river_job set state = 'available' where id = $1 and state = 'running' and attempt = $2`, lease.JobID, lease.Attempt)
		return err
	}
	var overtaken chan error
	if random != nil {
		switch random.IntN(4) {
		case 0: // its process is killed at some moment of the transaction, or right after it
			dying, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(4000))*time.Microsecond)
			_, err := d.schedules.Fire(dying, lease, id)
			cancel()
			if err == nil {
				return 0, 0, nil
			}
			if err := rescue(); err != nil {
				return 1, 0, err
			}
			kills = 1
		case 1: // it was given up for dead, and runs beside its successor
			zombie := lease
			overtaken = make(chan error, 1)
			if err := rescue(); err != nil {
				return 0, 1, err
			}
			go func() {
				_, err := d.schedules.Fire(ctx, zombie, id)
				overtaken <- err
			}()
			zombies = 1
		}
		if kills+zombies > 0 {
			switch err := claim(); {
			case errors.Is(err, pgx.ErrNoRows): // it had committed, or another has it
				lease.Attempt = 0
			case err != nil:
				return kills, zombies, err
			}
		}
	}
	if lease.Attempt > 0 {
		if _, err = d.schedules.Fire(ctx, lease, id); errors.Is(err, store.ErrFenced) {
			err = nil
		}
	}
	if overtaken != nil {
		if late := <-overtaken; late != nil && !errors.Is(late, store.ErrFenced) {
			err = errors.Join(err, late)
		}
	}
	return kills, zombies, err
}

// expectedSlots finds, minute by minute, when a clock on the wall of each zone first shows each time of a day, or a later
// time of it: slots by "zone hh:mm", from after a moment up to another.
func expectedSlots(t *testing.T, zones []string, after, until time.Time) map[string][]time.Time {
	all := map[string][]time.Time{}
	for _, name := range zones {
		loc, err := time.LoadLocation(name)
		require.NoError(t, err)
		reached := -1 // the last minute of the day that was shown
		day := ""
		for now := after.Add(-48 * time.Hour); !now.After(until); now = now.Add(time.Minute) {
			wall := now.In(loc)
			if today := wall.Format(time.DateOnly); today > day {
				day, reached = today, -1
			}
			for minute := wall.Hour()*60 + wall.Minute(); reached < minute; {
				reached++
				if now.After(after) {
					key := fmt.Sprintf("%s %02d:%02d", name, reached/60, reached%60)
					all[key] = append(all[key], now)
				}
			}
		}
	}
	return all
}
