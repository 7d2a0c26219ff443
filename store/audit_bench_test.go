package store_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

// BenchmarkAudit submits tunes with and without an entry in the audit log, alternately, and after each hundred
// with an entry seals those, as a worker's beat does. "audit-%" is what the median submission with an entry takes
// beyond the median one without, and its share of the sealing. A request over HTTP has more beside.
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
	var took [2][]float64 // milliseconds, without and with
	var sealing float64
	for n := 0; b.Loop(); n++ {
		for _, which := range [][]int{{0, 1}, {1, 0}}[n%2] {
			ctx := b.Context()
			if which == 1 {
				ctx = store.WithAudit(ctx, store.NewAudit(d.Space.ID, entry).OfSubmission())
			}
			began := time.Now()
			submit(ctx)
			took[which] = append(took[which], time.Since(began).Seconds()*1000)
		}
		if n%100 == 99 {
			began := time.Now()
			require.NoError(b, d.Store.SealAudit(b.Context()))
			sealing += time.Since(began).Seconds() * 1000
		}
	}
	require.NoError(b, d.Store.SealAudit(b.Context()))
	require.Equal(b, len(took[1]), d.Count(`select count(*) from audit_log where workspace_id = $1 and entry::text like '%POST /backtests/tune%'`, d.Space.ID))
	without, with, seal := median(took[0]), median(took[1]), sealing/float64(len(took[1]))
	b.ReportMetric(100*((with+seal)/without-1), "audit-%")
	b.ReportMetric(without, "ms-without")
	b.ReportMetric(with-without, "ms-entry")
	b.ReportMetric(seal, "ms-sealing")
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
