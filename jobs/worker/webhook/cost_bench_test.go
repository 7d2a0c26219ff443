package webhook_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/worker/webhook"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/webhooks"
)

// BenchmarkSubmissionsBesideWebhooks submits tunes at a pace, without webhooks and with 1 and 10 that take the event of each, one
// after the other and three times: what a submission takes from when it was due. Writing events does nothing for webhooks, so what
// differs is what their deliveries take of the machine.
func BenchmarkSubmissionsBesideWebhooks(b *testing.B) {
	const rounds, many, aSecond = 3, 300, 75
	d := storetest.New(b)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	b.Cleanup(receiver.Close)
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: d.Owner.Config().ConnString(), MaxConns: 10})
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	end, err := start(b.Context(), pool, netip.MustParseAddrPort(receiver.Listener.Addr().String()).Port(), slog.New(slog.DiscardHandler), webhook.Options{})
	require.NoError(b, err)
	b.Cleanup(end)
	took := map[int][]time.Duration{}
	sent := 0
	for b.Loop() {
		for range rounds {
			for _, hooks := range []int{0, 1, 10} {
				drop := subscribed(b, d, receiver.URL, hooks)
				took[hooks] = append(took[hooks], paced(b, d, &sent, many, time.Second/aSecond)...)
				drop()
			}
		}
	}
	for hooks, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, fmt.Sprintf("p50-%d-ms", hooks))
		b.ReportMetric(float64(all[len(all)*95/100].Microseconds())/1000, fmt.Sprintf("p95-%d-ms", hooks))
	}
}

// subscribed makes webhooks, and deletes them again.
func subscribed(b *testing.B, d *storetest.Fixture, url string, n int) (drop func()) {
	b.Helper()
	var made []uuid.UUID
	for range n {
		var hook webhooks.Webhook
		var secret string
		sub := store.Submission{Workspace: d.Space.ID, Route: "POST /test"}
		_, err := d.Store.Webhooks.Create(b.Context(), sub, webhooks.Settings{URL: url, Types: []string{"backtest.tune.queued"}}, keyring(), keep(&hook, &secret))
		require.NoError(b, err)
		made = append(made, hook.ID)
	}
	return func() {
		for _, id := range made {
			require.NoError(b, d.Store.Webhooks.Delete(b.Context(), d.Space.ID, id))
		}
	}
}

// paced submits at a pace that does not follow the server's.
func paced(b *testing.B, d *storetest.Fixture, sent *int, many int, every time.Duration) []time.Duration {
	b.Helper()
	took := make([]time.Duration, many)
	due := make(chan int, many)
	var clients sync.WaitGroup
	began := time.Now()
	first := *sent
	*sent += many
	for range 4 {
		clients.Go(func() {
			for i := range due {
				if _, err := d.Submit(fmt.Sprint(first + i)); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(began.Add(time.Duration(i) * every))
			}
		})
	}
	for i := range many {
		if wait := time.Until(began.Add(time.Duration(i) * every)); wait > 0 {
			<-time.After(wait)
		}
		due <- i
	}
	close(due)
	clients.Wait()
	return took
}
