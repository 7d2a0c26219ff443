package chaos

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Four API processes are offered twenty times what a workspace may submit. However the requests
// fall on the processes, no minute admits more than the limit.
func TestFourProcessesHoldOneLimit(t *testing.T) {
	beside(t)
	const limit, overload = 60, 20
	s := newDeployment(t)
	var servers []*server
	for i := range 4 {
		servers = append(servers, s.serve(i, fmt.Sprint("LIMIT_SUBMISSIONS=", limit)))
	}
	space, key := s.tenant("eager")
	submitter := &submitter{deployment: s, server: servers[0], space: space.ID, key: key}
	submitter.upload()
	s.watchAdmissions()
	ctx, cancel := context.WithTimeout(t.Context(), sizes.overload)
	defer cancel()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 50}}
	defer client.CloseIdleConnections()
	var offered, admitted, refused atomic.Int64
	var odd sync.Map
	var senders sync.WaitGroup
	pace := time.NewTicker(time.Minute / (limit * overload))
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		// Twice the limit at once, the rest at its pace.
		if n >= 2*limit {
			<-pace.C
		}
		offered.Add(1)
		senders.Go(func() {
			status := post(client, servers[n%4].url, key, fmt.Sprint("eager-", n))
			switch status {
			case http.StatusAccepted:
				admitted.Add(1)
			case http.StatusTooManyRequests:
				refused.Add(1)
			default:
				odd.Store(status, true)
			}
		})
	}
	senders.Wait()
	// By when the limit admitted them: their rows are written a moment later, and not in this order.
	most := s.count(`
		select max(n) from (select count(*) over (order by second range between 60 preceding and current row) as n from admissions) w`)
	report.say("limit: 4 API processes, %d requests in %s against a limit of %d a minute: %d admitted, %d refused, at most %d in any minute",
		offered.Load(), sizes.overload, limit, admitted.Load(), refused.Load(), most)
	odd.Range(func(status, _ any) bool {
		t.Errorf("answered %v", status)
		return true
	})
	require.LessOrEqual(t, most, limit)
	// The script that the submitter uploaded is a submission too.
	require.GreaterOrEqual(t, admitted.Load(), int64(limit-1), "the limit is not used up")
	require.Equal(t, offered.Load(), admitted.Load()+refused.Load())
}

// watchAdmissions records in the table admissions the second of each unit that a limit grants.
func (s *deployment) watchAdmissions() {
	s.t.Helper()
	for _, sql := range []string{
		`create table admissions (second bigint)`,
		`create function record_admission() returns trigger language plpgsql security definer set search_path = public as
			$$ begin insert into admissions values (new.head); return null; end $$`,
		`create trigger record_admission after update on rate_limits for each row
			when (new.key like 'submissions%') execute function record_admission()`,
	} {
		_, err := s.owner.Exec(s.t.Context(), sql)
		require.NoError(s.t, err)
	}
}

func post(client *http.Client, url, key, idempotencyKey string) int {
	req, err := http.NewRequest(http.MethodPost, url+"/backtests/tune",
		strings.NewReader(`{"dataset":"walk","strategy_name":"sma_cross","param_space":{"fast":[5],"slow":[20]}}`))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("X-Idempotency-Key", idempotencyKey)
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// A workspace with huge tunes running does not keep others waiting: the first shard of a small tune
// begins within two lengths of a shard. Of the huge ones no more than the cap run at once.
func TestASmallNeighbourIsServedSoon(t *testing.T) {
	s := newDeployment(t)
	front := s.serve(0)
	s.run([]string{workerEnv + "=" + s.direct}, os.Args[0])
	huge, hugeKey := s.tenant("huge")
	small, smallKey := s.tenant("small")
	giant := &submitter{deployment: s, server: front, space: huge.ID, key: hugeKey}
	giant.upload()
	watch := s.watchCap(t.Context())
	for i := range 2 * capOfTenant {
		status, answer := giant.call(http.MethodPost, "/backtests/tune", "application/json", []byte(`{"dataset":"walk","strategy_name":"sma_cross",
			"param_space":{"fast":{"low":2,"high":500},"slow":{"low":501,"high":900}}}`), "X-Idempotency-Key", fmt.Sprint("huge", i))
		require.Equal(t, http.StatusAccepted, status, string(answer))
	}
	const shards = `select count(*) from river_job where kind = 'tune.shard' and state = 'completed'`
	require.Eventually(t, func() bool { return s.count(shards) > 10 }, time.Minute, 50*time.Millisecond)

	dwarf := &submitter{deployment: s, server: front, space: small.ID, key: smallKey}
	dwarf.upload()
	for i := range sizes.neighbours {
		dwarf.await(dwarf.tune(fmt.Sprint("small", i), 10))
	}
	var waited, length float64
	require.NoError(t, s.owner.QueryRow(t.Context(), `
		select max(extract(epoch from attempted_at - scheduled_at)) from river_job
		 where kind = 'tune.shard' and args ->> 'workspace_id' = $1 and args ->> 'shard' = '0'`, small.ID.String()).Scan(&waited))
	require.NoError(t, s.owner.QueryRow(t.Context(), `
		select max(extract(epoch from finalized_at - attempted_at)) from river_job
		 where kind = 'tune.shard' and state = 'completed' and args ->> 'workspace_id' = $1`, huge.ID.String()).Scan(&length))
	report.say("fairness: beside %d tunes of %d shards, the first shards of %d small ones waited at most %.0f ms; a shard took up to %.0f ms",
		2*capOfTenant, s.count(`select max(shards) from tune_progress where workspace_id = $1`, huge.ID), sizes.neighbours, 1000*waited, 1000*length)
	report.say("  cap of %d running tunes a workspace: at most %d in %d looks", capOfTenant, watch.most.Load(), watch.looks.Load())
	require.LessOrEqual(t, waited, 2*length)
	require.EqualValues(t, capOfTenant, watch.most.Load())
}
