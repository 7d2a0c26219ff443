package api_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/events"
	"millrace/jobs/sweep"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tenants"
	"millrace/store/tuning"
)

// BenchmarkAuditOfRequests submits tunes by each way after the other: over HTTP, and to the store without and with an entry in the audit
// log. "audit-%" is what the entry and its part of the sealing add to a request that has none, by medians.
func BenchmarkAuditOfRequests(b *testing.B) {
	d := storetest.New(b)
	url := serve(b, d)
	key, err := d.Store.Tenants.CreateKey(b.Context(), d.Space.ID, "bench", tenants.RoleOwner)
	require.NoError(b, err)
	entry := store.AuditEntry{
		Actor: store.AuditActor{Kind: "key", ID: d.Space.ID.String(), Name: "bench", Role: "owner"}, Route: "POST /backtests/tune",
		From: "127.0.0.1", RequestID: strings.Repeat("0", 32), Outcome: "ok", Entity: store.AuditEntity{Type: "tune"},
	}
	submit := func(ctx context.Context, n int) {
		spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10}}}}
		spec.Normalize()
		_, err := d.Store.Tuning.Create(ctx, store.Submission{Workspace: d.Space.ID, Route: "bench", Key: fmt.Sprint(n)},
			tuning.NewTune{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Trials: 2},
			func(*tuning.Tune) (store.Response, error) { return store.Response{Status: http.StatusAccepted}, nil })
		require.NoError(b, err)
	}
	ways := []func(int){
		func(n int) { post(b, url, key, n) },
		func(n int) { submit(b.Context(), n) },
		func(n int) {
			submit(store.WithAudit(b.Context(), store.NewAudit(d.Space.ID, entry).OfSubmission()), n)
		},
	}
	took := make([][]float64, len(ways)+1) // milliseconds; the last are of sealing, an entry each
	const each = 200
	for n := 0; b.Loop(); n++ {
		for i := range ways {
			way := (n + i) % len(ways)
			began := time.Now()
			ways[way](n*len(ways) + i)
			took[way] = append(took[way], time.Since(began).Seconds()*1000)
		}
		if n%each == each-1 {
			began := time.Now()
			require.NoError(b, d.Store.SealAudit(b.Context()))
			took[len(ways)] = append(took[len(ways)], time.Since(began).Seconds()*1000/(2*each)) // requests leave entries too
		}
	}
	if len(took[len(ways)]) == 0 {
		return // the first of the rounds, which is too short to say anything
	}
	median := func(of []float64) float64 { slices.Sort(of); return of[len(of)/2] }
	request, adds := median(took[0]), median(took[2])-median(took[1])
	sealing := median(took[3])
	b.ReportMetric(100*(adds+sealing)/(request-adds), "audit-%")
	b.ReportMetric(request, "ms-request")
	b.ReportMetric(adds, "ms-entry")
	b.ReportMetric(sealing, "ms-sealing")
}

// serve starts an API on the fixture's database.
func serve(b *testing.B, d *storetest.Fixture) string {
	logger, metrics := slog.New(slog.DiscardHandler), ops.NewMetrics()
	feed := events.NewFeed(events.Options{Store: d.Store, Metrics: metrics, Logger: logger})
	require.NoError(b, feed.Start(b.Context()))
	b.Cleanup(func() { _ = feed.Stop(context.Background()) })
	look := health.Options{Store: d.Store, Main: d.Store, Feed: feed.Status}
	server, err := api.New(api.Options{
		Store: d.Store, Hub: feed.Hub(), Health: health.New(look), Ready: health.Ready(look), Metrics: metrics, Logger: logger, Version: "bench",
	})
	require.NoError(b, err)
	web := httptest.NewServer(server.Handler())
	b.Cleanup(func() { server.EndStreams(); web.Close() })
	return web.URL
}

func post(b *testing.B, url, key string, n int) {
	body := fmt.Sprintf(`{"dataset":"walk","strategy_name":"sma_cross","seed":%d,"param_space":{"fast":[5,10]}}`, n)
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/backtests/tune", strings.NewReader(body))
	require.NoError(b, err)
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Idempotency-Key", fmt.Sprint("request ", n))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	require.NoError(b, resp.Body.Close())
	require.Equal(b, http.StatusAccepted, resp.StatusCode, string(answer))
}
