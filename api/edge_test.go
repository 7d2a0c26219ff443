package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/ops"
)

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// waiting counts the sessions of the database that wait for a lock, over one pool: a pool for each look would
// take all of the server's connections.
func (r *fixture) waiting() func() int {
	pool := r.db.OwnerPool(r.t)
	return func() int {
		var n int
		if err := pool.QueryRow(r.t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&n); err != nil {
			return -1
		}
		return n
	}
}

func TestClientDisconnectIsNotAnError(t *testing.T) {
	var reports atomic.Int64
	sentry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reports.Add(1)
		_, _ = w.Write([]byte(`{"id":"1"}`))
	}))
	defer sentry.Close()
	reporter, err := ops.NewReporter(ops.ReportOptions{DSN: strings.Replace(sentry.URL, "http://", "http://key@", 1) + "/7"})
	require.NoError(t, err)
	log := &lockedLog{}
	r := newFixture(t, func(o *api.Options) { o.Reporter, o.Logger = reporter, ops.NewLogger(log, slog.LevelInfo, false) })

	tx, err := r.db.OwnerPool(t).Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `lock table datasets, tunes in access exclusive mode`)
	require.NoError(t, err)
	const callers = 4 // fewer than the connections that workspaces have
	waiting := r.waiting()
	impatient, hangUp := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for i := range callers {
		path := []string{"/datasets", "/backtests/tunes"}[i%2]
		calls.Go(func() {
			req, err := http.NewRequestWithContext(impatient, http.MethodGet, r.url+path, nil)
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer "+r.key)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	require.Eventually(t, func() bool { return waiting() == callers }, 30*time.Second, 5*time.Millisecond)
	hangUp()
	calls.Wait()
	gone := func() float64 {
		return testutil.ToFloat64(r.metrics.HTTPRequests.WithLabelValues("/datasets", "GET", "499")) +
			testutil.ToFloat64(r.metrics.HTTPRequests.WithLabelValues("/backtests/tunes", "GET", "499"))
	}
	require.Eventually(t, func() bool { return gone() == callers }, 30*time.Second, 5*time.Millisecond)
	require.NoError(t, tx.Rollback(t.Context()))

	// One that hangs up within its body.
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "POST /backtests/run HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", r.key)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool {
		return testutil.ToFloat64(r.metrics.HTTPRequests.WithLabelValues("/backtests/run", "POST", "499")) == 1
	}, 30*time.Second, 5*time.Millisecond)

	flush, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, reporter.Flush(flush))
	assert.Zero(t, reports.Load(), "reports")
	assert.NotContains(t, log.String(), "ERROR")
	assert.Zero(t, testutil.ToFloat64(r.metrics.InternalErrors.WithLabelValues("error")))
}

func TestABodyThatDoesNotComeEndsItsConnection(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.BodyIdle = 100 * time.Millisecond })
	for _, begun := range []string{"", `{"dataset":`} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST /backtests/run HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n%s", r.key, begun)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
		answer, err := io.ReadAll(conn) // to the end of the connection
		require.NoError(t, err)
		assert.Contains(t, string(answer), "408 Request Timeout")
		require.NoError(t, conn.Close())
	}
}

func TestRequestsThatWaitForOneKeyLeaveThePoolToOthers(t *testing.T) {
	r := newFixture(t).withSample()
	tx, err := r.db.OwnerPool(t).Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `insert into idempotency_keys (workspace_id, route, key, fingerprint) values ($1, 'POST /backtests/tune', 'one', sha256('x'))`, r.alpha.ID)
	require.NoError(t, err)
	waiting := r.waiting()
	var calls sync.WaitGroup
	var begun atomic.Int64
	statuses := make(chan int, 45)
	for range cap(statuses) {
		calls.Go(func() {
			begun.Add(1)
			a, err := r.try(http.MethodPost, "/backtests/tune", strings.NewReader(smallTune), "Authorization", "Bearer "+r.key, "X-Idempotency-Key", "one")
			if err == nil {
				statuses <- a.status
			}
		})
	}
	require.Eventually(t, func() bool { return begun.Load() == 45 && waiting() > 0 }, 30*time.Second, 5*time.Millisecond)
	for range 5 {
		require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/datasets", "").status)
		require.LessOrEqual(t, waiting(), 1, "connections that wait for the key")
	}
	calls.Wait()
	close(statuses)
	for status := range statuses {
		assert.Equal(t, http.StatusConflict, status)
	}
}

// unfit are texts that Postgres cannot store, as an escape of JSON and of URLs.
var unfit = map[string][2]string{"NUL": {`\u0000`, "%00"}, "invalid UTF-8": {"\xff", "%ff"}}

func TestNoTextOfAnyRequestIsAnErrorOfOurs(t *testing.T) {
	r := newFixture(t)
	tried := 0
	for _, route := range r.server.Table() {
		secret := r.key
		if strings.HasPrefix(route.Path, "/admin") || route.Access == "admin token" {
			secret = adminToken
		}
		send := func(what, field, method, path, kind string, body io.Reader) {
			t.Helper()
			tried++
			req, err := http.NewRequest(method, r.url+path, body)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+secret)
			req.Header.Set("X-Idempotency-Key", "text-"+strconv.Itoa(tried))
			req.Header.Set("Content-Type", kind)
			resp, err := http.DefaultTransport.RoundTrip(req)
			require.NoError(t, err)
			answer, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			if resp.StatusCode == http.StatusServiceUnavailable && bytes.Contains(answer, []byte("no knowledge base")) {
				return // it is refused before its body is read
			}
			if resp.StatusCode == http.StatusNotFound && body != nil {
				return // what the path names is looked for before the body is read
			}
			if resp.StatusCode == http.StatusUnprocessableEntity && (strings.Contains(what, "in part file") || strings.HasPrefix(route.Path, "/strategies")) {
				require.Contains(t, string(answer), `"field"`)
				return // a file is its reader's to judge, and a missing script comes first: both name the field
			}
			require.Equal(t, http.StatusBadRequest, resp.StatusCode, "%s %s, %s: %s", method, route.Path, what, answer)
			if method != http.MethodHead { // whose answer has no body
				require.Contains(t, string(answer), field, "%s %s, %s", method, route.Path, what)
			}
		}
		plain := strings.NewReplacer("/*", "/x").Replace(route.Path)
		for name, text := range unfit {
			parts := strings.Split(plain, "/")
			for i, part := range parts {
				if strings.HasPrefix(part, ":") {
					parts[i] = "a" + text[1]
				}
			}
			if strings.Contains(plain, ":") {
				send(name+" in the path", "path", route.Method, strings.Join(parts, "/"), "", nil)
			}
			for i, part := range parts {
				if strings.HasPrefix(part, "a%") {
					parts[i] = r.alpha.ID.String()
				}
			}
			path := strings.Join(parts, "/")
			for _, param := range append(route.Params, "workspace_id", "x"+text[1]) {
				send(name+" in "+param, strings.TrimSuffix(param, text[1]), route.Method, path+"?"+param+"=a"+text[1], "", nil)
			}
			if route.Method != http.MethodPost && route.Method != http.MethodPatch {
				continue
			}
			for _, field := range route.Fields {
				send(name+" in "+field, "", route.Method, path, "application/json", strings.NewReader(`{"`+field+`":"a`+text[0]+`"}`))
			}
			if len(route.Fields) > 0 {
				send(name+" deep in a body", map[string]string{"NUL": "x.y.1"}[name], route.Method, path, "application/json",
					strings.NewReader(`{"x":{"y":[1,"a`+text[0]+`"]}}`))
			}
			if route.Page {
				send(name+" in a form", "", route.Method, path, "application/x-www-form-urlencoded", strings.NewReader("name=a"+text[1]))
			}
			for _, field := range route.Form {
				var body bytes.Buffer
				form := multipart.NewWriter(&body)
				raw := map[string]string{"NUL": "\x00", "invalid UTF-8": "\xff"}[name]
				if field == "file" {
					part, err := form.CreateFormFile("file", "a"+raw)
					require.NoError(t, err)
					_, err = part.Write([]byte("text"))
					require.NoError(t, err)
				} else {
					require.NoError(t, form.WriteField(field, "a"+raw))
				}
				require.NoError(t, form.Close())
				send(name+" in part "+field, "", route.Method, path, form.FormDataContentType(), &body)
			}
		}
	}
	assert.Greater(t, tried, 500)
}
