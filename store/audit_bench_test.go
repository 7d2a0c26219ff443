package store_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

// BenchmarkAudit submits tunes with and without an entry in the audit log, alternately, and after each 200
// with an entry seals those, as a worker does each second. "audit-%" is what the median submission with an entry takes
// beyond the median one without, and its share of the median sealing. A request over HTTP has more beside. The "cpu-us"
// are the processor time of Postgres' sessions, which hardly depends on what else the machine does; Linux alone has them.
func BenchmarkAudit(b *testing.B) {
	d := storetest.New(b)
	sent := 0
	submit := func(ctx context.Context) {
		sent++
		spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
		spec.Normalize()
		_, err := d.Store.Tuning.Create(ctx, store.Submission{Workspace: d.Space.ID, Route: "bench", Key: fmt.Sprint(sent)},
			tuning.NewTune{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Trials: 4},
			func(*tuning.Tune) (store.Response, error) { return store.Response{Status: http.StatusAccepted}, nil })
		if err != nil {
			b.Error(err)
		}
	}
	entry := store.AuditEntry{
		Actor: store.AuditActor{Kind: "key", ID: d.Space.ID.String(), Name: "ci", Role: "member"}, Route: "POST /backtests/tune",
		From: "192.0.2.1", RequestID: "0123456789abcdef0123456789abcdef", Outcome: "ok", Entity: store.AuditEntity{Type: "tune"},
	}
	var took [2][]float64  // milliseconds, without and with
	var sealings []float64 // milliseconds an entry
	const each = 200
	var cpu [2]time.Duration
	var cpuSealing time.Duration
	sealed := 0
	submit(b.Context()) // and there are the sessions, which stay
	require.NoError(b, d.Store.SealAudit(b.Context()))
	rows, err := d.Owner.Query(b.Context(), `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
	require.NoError(b, err)
	sessions, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(b, err)
	for n := 0; b.Loop(); n++ {
		for _, which := range [][]int{{0, 1}, {1, 0}}[n%2] {
			ctx := b.Context()
			if which == 1 {
				ctx = store.WithAudit(ctx, store.NewAudit(d.Space.ID, entry).OfSubmission())
			}
			before, began := sessionsTime(sessions), time.Now()
			submit(ctx)
			took[which] = append(took[which], time.Since(began).Seconds()*1000)
			cpu[which] += sessionsTime(sessions) - before
		}
		if n%each == each-1 {
			before, began := sessionsTime(sessions), time.Now()
			require.NoError(b, d.Store.SealAudit(b.Context()))
			sealings = append(sealings, time.Since(began).Seconds()*1000/each)
			sealed, cpuSealing = sealed+each, cpuSealing+sessionsTime(sessions)-before
		}
	}
	require.NoError(b, d.Store.SealAudit(b.Context()))
	if len(sealings) == 0 {
		return // the first of the rounds, which is too short to say anything
	}
	require.Equal(b, len(took[1]), d.Count(`select count(*) from audit_log where workspace_id = $1 and entry::text like '%POST /backtests/tune%'`, d.Space.ID))
	without, with, seal := median(took[0]), median(took[1]), median(sealings)
	b.ReportMetric(100*((with+seal)/without-1), "audit-%")
	b.ReportMetric(without, "ms-without")
	b.ReportMetric(with-without, "ms-entry")
	b.ReportMetric(seal, "ms-sealing")
	a := func(spent time.Duration, many int) float64 {
		return float64(spent.Nanoseconds()) / 1000 / float64(many)
	}
	if cpu[0] > 0 {
		without, with, seal := a(cpu[0], len(took[0])), a(cpu[1], len(took[1])), a(cpuSealing, sealed)
		b.ReportMetric(100*((with+seal)/without-1), "audit-cpu-%")
		b.ReportMetric(without, "cpu-us-without")
		b.ReportMetric(with-without, "cpu-us-entry")
		b.ReportMetric(seal, "cpu-us-sealing")
	}
}

// sessionsTime is the processor time that sessions of Postgres have taken so far, 0 where it is not known.
func sessionsTime(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if err != nil {
			return 0
		}
		var nanos int64
		if _, err := fmt.Sscan(string(stat), &nanos); err != nil {
			return 0
		}
		sum += time.Duration(nanos)
	}
	return sum
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
