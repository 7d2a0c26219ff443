package main

import (
	"context"
	"slices"
	"strconv"
	"syscall"
	"time"

	"millrace/api/types"
	"millrace/ops/routine"
	"millrace/store/session"
)

// benchClients is how many submit at once.
const benchClients = 8

// benchSubmission is one kind of work that clients submit.
type benchSubmission struct {
	name   string // of several
	each   string // of one
	table  string // has a row of each
	submit func(ctx context.Context, n int) (id string, err error)
	floor  *benchFloor // made by the first round
	sent   int         // so far
}

// submissionsOf are the kinds of work that are submitted: tunes, walk-forwards of four folds, and ingestions of an address.
func (s *benchService) submissionsOf(body types.TuneRequest, bars int) []*benchSubmission {
	body.NTrials = new(100)
	walk := types.WFORequest{TuneRequest: body, WFOConfig: types.WFOConfig{TrainDays: new(bars / 2), TestDays: new(bars / 8)}}
	walk.OOSRatio = nil
	return []*benchSubmission{
		{name: "submissions", each: "a submission", table: "tunes", submit: func(ctx context.Context, n int) (string, error) {
			tune, err := s.submit.SubmitTune(ctx, "bench-"+strconv.Itoa(n), body)
			if err != nil {
				return "", err
			}
			return tune.TuneID, nil
		}},
		{name: "walk-forward submissions", each: "a walk-forward", table: "wfo_runs", submit: func(ctx context.Context, n int) (string, error) {
			wfo, err := s.submit.SubmitWFO(ctx, "bench-"+strconv.Itoa(n), walk)
			if err != nil {
				return "", err
			}
			return wfo.WFOID, nil
		}},
		{name: "ingestion submissions", each: "an ingestion", table: "ingest_jobs", submit: func(ctx context.Context, n int) (string, error) {
			ingest, err := s.submit.Ingest(ctx, "bench-"+strconv.Itoa(n), types.IngestRequest{URL: "https://example.com/" + strconv.Itoa(n)})
			if err != nil {
				return "", err
			}
			return ingest.JobID, nil
		}},
	}
}

// submissions times what several clients submit to one workspace, and then pgbench, which inserts the rows of one of
// them as often with as many clients: what Postgres could do here at most.
func (s *benchService) submissions(ctx context.Context, found *figures, kind *benchSubmission, many int) error {
	if kind.sent == 0 {
		if err := s.warm(ctx, kind); err != nil {
			return err
		}
	}
	last, rate, spent, err := s.drive(ctx, found, kind, many)
	if err != nil {
		return err
	}
	if kind.floor == nil {
		if kind.floor, err = newBenchFloor(ctx, s.queue, kind.table, last); err != nil {
			return err
		}
	}
	return s.beside(ctx, found, kind, many, rate, spent)
}

// warmSubmissions is how many submissions of a kind come before those that are measured, once without statistics and once with.
const warmSubmissions = 200

// warm brings the database to where a server in use is: tables have rows and statistics, and connections their plans. Without
// statistics all indexes of a new table seem to cost the same, and a plan may read every tune of the workspace to count the
// open ones, until Postgres collects statistics by itself, within a minute. Statistics end all plans: each connection makes its
// own again, which no submission of a server in use waits for.
func (s *benchService) warm(ctx context.Context, kind *benchSubmission) error {
	if _, _, _, err := s.drive(ctx, &figures{}, kind, warmSubmissions); err != nil {
		return err
	}
	conn, err := session.Connect(ctx, s.queue, session.Schema())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `analyze`); err != nil {
		return err
	}
	_, _, _, err = s.drive(ctx, &figures{}, kind, warmSubmissions)
	return err
}

// drive times what several clients submit. It returns the id of one of the last, how many came a second, and what they took
// of the processors.
func (s *benchService) drive(ctx context.Context, found *figures, kind *benchSubmission, many int) (last string, rate float64, used spent, err error) {
	took := make([][]time.Duration, benchClients)
	before, begin := s.spent(found), time.Now()
	group, in := routine.NewGroup(ctx)
	for at := range took {
		group.Run(func() error {
			for i := at; i < many; i += benchClients {
				start := time.Now()
				id, err := kind.submit(in, kind.sent+i)
				if err != nil {
					return err
				}
				took[at] = append(took[at], time.Since(start))
				if at == 0 {
					last = id
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return "", 0, spent{}, err
	}
	rate = float64(many) / time.Since(begin).Seconds()
	used = s.spent(found).since(before)
	kind.sent += many
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	found.add(kind.name, "a second", rate)
	found.add(kind.name+", p50", "ms", all[len(all)/2].Seconds()*1000)
	found.add(kind.name+", p99", "ms", all[len(all)*99/100].Seconds()*1000)
	return last, rate, used, nil
}

// beside measures pgbench, beside submissions that came so fast and took so much of the processors.
func (s *benchService) beside(ctx context.Context, found *figures, kind *benchSubmission, many int, rate float64, spent spent) error {
	before := s.spent(found)
	floor, ok, err := kind.floor.run(ctx, many)
	if err != nil || !ok {
		found.missing("pgbench was not found beside Postgres or on the PATH: its inserts were not measured")
		return err
	}
	least := s.spent(found).since(before)
	least.ours = floor.processor
	of := " of " + kind.each
	found.add("pgbench inserting the rows"+of, "a second", floor.rate)
	found.add("pgbench inserting the rows"+of+", p99", "ms", floor.p99.Seconds()*1000)
	found.ratio(kind.name+" / pgbench", rate/floor.rate)
	if !spent.known {
		return nil
	}
	each := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(many) }
	found.add("processor time"+of+": client and server", "ms", each(spent.ours))
	found.add("processor time"+of+": Postgres", "ms", each(spent.postgres))
	found.add("processor time of the rows"+of+": pgbench", "ms", each(least.ours))
	found.add("processor time of the rows"+of+": Postgres", "ms", each(least.postgres))
	found.ratio("processor time, of its rows by pgbench /"+of, float64(least.ours+least.postgres)/float64(spent.ours+spent.postgres))
	return nil
}

// spent is processor time that was taken.
type spent struct {
	ours, postgres time.Duration
	known          bool
}

// spent is what this process and its Postgres have taken so far.
func (s *benchService) spent(found *figures) spent {
	var used syscall.Rusage
	postgres, err := s.cluster.ProcessorTime()
	if err == nil {
		err = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	}
	if err != nil {
		found.missing("processor time was not measured: " + err.Error())
		return spent{}
	}
	return spent{ours: time.Duration(used.Utime.Nano() + used.Stime.Nano()), postgres: postgres, known: true}
}

func (s spent) since(before spent) spent {
	return spent{ours: s.ours - before.ours, postgres: s.postgres - before.postgres, known: s.known && before.known}
}
