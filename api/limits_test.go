package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/ops/health"
	"millrace/store"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// another starts one more API process of the fixture's database, as far as a process can see, and
// returns its address.
func (r *fixture) another(with func(*api.Options)) string {
	r.t.Helper()
	pool, err := store.OpenPool(r.t.Context(), store.PoolOptions{DatabaseURL: r.db.URL, MaxConns: 4})
	require.NoError(r.t, err)
	r.t.Cleanup(pool.Close)
	opts := api.Options{
		Store: stores.New(pool, nil), Hub: r.hub, Health: health.New(r.look), Ready: health.Ready(r.look),
		Metrics: r.metrics, Logger: r.logger, AdminToken: adminToken,
	}
	with(&opts)
	server, err := api.New(opts)
	require.NoError(r.t, err)
	web := httptest.NewServer(server.Handler())
	r.t.Cleanup(web.Close)
	return web.URL
}

// Four API processes under twenty times the load they may take: whatever window one looks at, no
// more is admitted in it than the limit.
func TestFourProcessesAdmitNoMoreThanTheLimit(t *testing.T) {
	r := newFixture(t)
	rate := tenants.Rate{Most: 20, Window: 700 * time.Millisecond}
	type span struct{ before, after time.Time }
	var mu sync.Mutex
	var admitted []span
	offered := 0
	var clients sync.WaitGroup
	for range 4 {
		url := r.another(func(o *api.Options) { o.Limits.Submissions = rate })
		for range 4 {
			clients.Go(func() {
				for {
					before := time.Now()
					// Without an idempotency key nothing comes of it, but it counts.
					req, err := http.NewRequest(http.MethodPost, url+"/backtests/tune", strings.NewReader("{}"))
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("Authorization", "Bearer "+r.key)
					resp, err := http.DefaultClient.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					_ = resp.Body.Close()
					mu.Lock()
					offered++
					switch resp.StatusCode {
					case http.StatusBadRequest:
						admitted = append(admitted, span{before, time.Now()})
					case http.StatusTooManyRequests:
					default:
						t.Errorf("status %d", resp.StatusCode)
					}
					enough := t.Failed() || len(admitted) >= 4*rate.Most && offered >= 20*len(admitted)
					mu.Unlock()
					if enough {
						return
					}
				}
			})
		}
	}
	clients.Wait()
	for _, first := range admitted {
		within := 0
		for _, other := range admitted {
			if !other.before.Before(first.before) && other.after.Before(first.before.Add(rate.Window)) {
				within++
			}
		}
		require.LessOrEqual(t, within, rate.Most)
	}
	t.Logf("%d offered, %d admitted", offered, len(admitted))
}

func TestAWorkspacesLimitsStandInForTheServers(t *testing.T) {
	minute := func(n int) tenants.Rate { return tenants.Rate{Most: n, Window: time.Minute} }
	r := newFixture(t, func(o *api.Options) {
		o.Limits = api.Limits{Submissions: minute(2), Queries: minute(3), AddressQueries: minute(5), Uploads: minute(1)}
	})
	submit := func(key string) answer {
		return r.do(http.MethodPost, "/backtests/tune", "{}", "Authorization", "Bearer "+key)
	}
	require.Regexp(t, `^"submissions";r=1;t=6[01]$`, submit(r.key).header.Get("RateLimit"))
	require.Equal(t, http.StatusBadRequest, submit(r.newKey(r.alpha, tenants.RoleMember)).status)
	over := submit(r.key)
	require.Equal(t, http.StatusTooManyRequests, over.status)
	require.Equal(t, "application/problem+json", over.header.Get("Content-Type"))
	require.Equal(t, `"submissions";q=2;w=60`, over.header.Get("RateLimit-Policy"))
	require.Regexp(t, `^[1-6][0-9]$`, over.header.Get("Retry-After"))
	require.Equal(t, http.StatusBadRequest, submit(r.other).status, "another workspace pays")
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/backtests/tunes", "").status, "reading counts")

	_, err := r.store.Tenants.ChangeWorkspace(t.Context(), r.alpha.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{SubmissionsPerMinute: ptr(4)}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return submit(r.key).status == http.StatusBadRequest }, 5*time.Second, 50*time.Millisecond,
		"a raised limit holds within a second")

	asks := func(key string) bool {
		return r.do(http.MethodPost, "/query", "[]", "Authorization", "Bearer "+key).status != http.StatusTooManyRequests
	}
	for range 3 {
		require.True(t, asks(r.key))
	}
	require.False(t, asks(r.key), "of the workspace")
	require.True(t, asks(r.other))
	require.False(t, asks(r.other), "of the address")

	require.Equal(t, http.StatusUnprocessableEntity, r.upload(r.key, "a", nil).status)
	require.Equal(t, http.StatusTooManyRequests, r.upload(r.other, "a", nil).status)
}

func ptr[T any](v T) *T { return &v }

// Beyond its queue's depth a workspace is asked to wait, while others and what needs no queue continue;
// what it has submitted before is still answered.
func TestAFullQueueIsAnsweredBeforeAnythingDegrades(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Limits.QueueDepth = 5 }).withSample()
	const clients = 12
	statuses := make(chan int, clients)
	for i := range clients {
		go func() {
			a, err := r.try(http.MethodPost, "/backtests/tune", strings.NewReader(smallTune),
				"Authorization", "Bearer "+r.key, "X-Idempotency-Key", fmt.Sprint(i))
			if err != nil {
				a.status = -1
			}
			statuses <- a.status
		}()
	}
	counts := map[int]int{}
	for range clients {
		counts[<-statuses]++
	}
	require.Equal(t, map[int]int{http.StatusAccepted: 5, http.StatusTooManyRequests: clients - 5}, counts)
	require.Equal(t, 5, r.count(`select count(*) from tunes`))
	require.Equal(t, 5, r.count(`select count(*) from idempotency_keys`), "a refused key is free")
	full := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "more")
	require.Equal(t, http.StatusTooManyRequests, full.status)
	require.Equal(t, "10", full.header.Get("Retry-After"))

	var first string
	require.NoError(t, r.db.OwnerPool(t).QueryRow(t.Context(), `select key from idempotency_keys limit 1`).Scan(&first))
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", first).status)
	require.Equal(t, http.StatusCreated, r.do(http.MethodPost, "/backtests/run",
		`{"dataset":"sp500","strategy_name":"sma_cross"}`, "X-Idempotency-Key", "run").status)
	require.Equal(t, http.StatusCreated, r.upload(r.other, "sp500", []byte(manyBars())).status)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", plainTune,
		"X-Idempotency-Key", "k", "Authorization", "Bearer "+r.other).status)

	r.exec(`update tunes set status = 'completed' where id = (select id from tunes where workspace_id = $1 limit 1)`, r.alpha.ID)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "more").status)
	_, err := r.store.Tenants.ChangeWorkspace(t.Context(), r.alpha.ID, tenants.WorkspaceChange{Limits: tenants.WorkspaceLimits{QueueDepth: ptr(6)}})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "sixth").status)
}
