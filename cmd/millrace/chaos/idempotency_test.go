package chaos

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Many clients send the same submission at once, for many keys, while the API processes they send
// it to are killed. Each key has one effect, all its clients get the same bytes, and no key is left
// pending.
func TestEachKeyHasOneEffectAndOneAnswer(t *testing.T) {
	beside(t)
	s := newDeployment(t)
	servers := []*server{s.serve(0), s.serve(1)}
	space, key := s.tenant("keys")
	submitter := &submitter{deployment: s, server: servers[0], space: space.ID, key: key}
	submitter.upload()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go supervise(ctx, servers[0].process, servers[1].process)
	rng := chance(t)

	c := &crowd{submitter: submitter, servers: servers, answers: make([]map[[32]byte]int, sizes.keys)}
	c.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 200, MaxConnsPerHost: 400}}
	defer c.client.CloseIdleConnections()
	began := time.Now()
	var sending sync.WaitGroup
	sending.Go(func() { c.sendAll(ctx, rng.Uint64()) })
	kills := 0
	for ; kills < sizes.kills || c.answered.Load() < int64(sizes.keys*sizes.clients); kills++ {
		due := min(int64(sizes.keys*sizes.clients), int64(sizes.keys*sizes.clients)*int64(kills+1)/int64(sizes.kills+1))
		for c.answered.Load() < due && ctx.Err() == nil {
			<-time.After(5 * time.Millisecond)
		}
		if c.answered.Load() == int64(sizes.keys*sizes.clients) {
			break
		}
		pick(rng, servers).replace(syscall.SIGKILL)
	}
	sending.Wait()
	took := time.Since(began)

	differing := 0
	for k, answers := range c.answers {
		if len(answers) != 1 {
			differing++
			t.Logf("key %d has %d answers", k, len(answers))
		}
	}
	tunes := s.count(`select count(*) from tunes`)
	planned := s.count(`select count(*) from river_job where kind = 'tune.plan'`)
	queued := s.count(`select count(*) from event_log where type = 'backtest.tune.queued'`)
	kept := s.count(`select count(*) from idempotency_keys where status = 202`)
	pending := s.count(`select count(*) from idempotency_keys where status is null`)
	report.say("idempotency: %d keys × %d clients in %s, %d API kills, %d requests cut off or refused: %d tunes, %d jobs, %d events, %d keys with differing answers, %d pending",
		sizes.keys, sizes.clients, took.Round(time.Second), kills, c.again.Load(), tunes, planned, queued, differing, pending)
	require.Equal(t, []int{sizes.keys, sizes.keys, sizes.keys, sizes.keys, 0, 0},
		[]int{tunes, planned, queued, kept, differing, pending})
	require.Positive(t, kills)
}

// crowd sends every key's submission by many clients at once.
type crowd struct {
	*submitter
	servers  []*server
	client   *http.Client
	mu       sync.Mutex
	answers  []map[[32]byte]int // of each key: how many clients got which bytes
	answered atomic.Int64
	again    atomic.Int64
}

func (c *crowd) sendAll(ctx context.Context, seed uint64) {
	atOnce := make(chan struct{}, 8) // keys
	var all sync.WaitGroup
	for k := range sizes.keys {
		atOnce <- struct{}{}
		all.Go(func() {
			var clients sync.WaitGroup
			for i := range sizes.clients {
				rng := rand.New(rand.NewPCG(seed, uint64(k*sizes.clients+i)))
				clients.Go(func() { c.insist(ctx, k, rng) })
			}
			clients.Wait()
			<-atOnce
		})
	}
	all.Wait()
}

// insist sends the submission until it is answered for good.
func (c *crowd) insist(ctx context.Context, k int, rng *rand.Rand) {
	for ctx.Err() == nil {
		status, answer := c.send(ctx, pick(rng, c.servers).url, k)
		switch {
		case status == http.StatusAccepted:
			c.mu.Lock()
			if c.answers[k] == nil {
				c.answers[k] = map[[32]byte]int{}
			}
			c.answers[k][sha256.Sum256(answer)]++
			c.mu.Unlock()
			c.answered.Add(1)
			return
		case status == 0, status >= 500, status == http.StatusConflict, status == http.StatusTooManyRequests:
			c.again.Add(1)
			<-time.After(between(rng, 20, 120))
		default:
			c.t.Errorf("key %d: %d %s", k, status, answer)
			c.answered.Add(1)
			return
		}
	}
}

// send returns the status, and location and body as one.
func (c *crowd) send(ctx context.Context, url string, k int) (int, []byte) {
	body := fmt.Sprintf(`{"dataset":"walk","strategy_name":"sma_cross","seed":%d,"param_space":{"fast":[5,10],"slow":[20,30]}}`, k)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/backtests/tune", strings.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("X-Idempotency-Key", fmt.Sprint("key-", k))
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, append([]byte(resp.Header.Get("Location")+"\n"), answer...)
}
