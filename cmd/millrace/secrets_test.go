package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/store/pgtest"
)

// course is a day in the life of a fleet, and all that it let out.
type course struct {
	*fleetUnderTest
	admin   string
	secrets map[string]string // by what they are
	outputs map[string]string // by where they came out
}

// ask makes a request whose answer everybody may read: it is searched.
func (c *course) ask(method, path, body string, headers ...string) (int, []byte) {
	c.t.Helper()
	status, header, answer := c.send(method, path, body, headers...)
	c.outputs["the answers"] += fmt.Sprintln(method, path, status, header, string(answer))
	return status, answer
}

func (c *course) send(method, path, body string, headers ...string) (int, http.Header, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	req.Header.Set("Authorization", "Bearer "+c.key)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Client{
		Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}).Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, resp.Header, answer
}

// cookie makes a request that sets a cookie, whose value is one more secret.
func (c *course) cookie(name, path, body string, headers ...string) string {
	c.t.Helper()
	status, header, answer := c.send(http.MethodPost, path, body, headers...)
	require.Less(c.t, status, 300, string(answer))
	for _, set := range (&http.Response{Header: header}).Cookies() {
		if set.Name == name {
			c.secrets["the cookie "+name] = set.Value
			header.Del("Set-Cookie") // where it belongs
			c.outputs["the answers"] += fmt.Sprintln(header, string(answer))
			return name + "=" + set.Value
		}
	}
	require.FailNow(c.t, "no cookie", name)
	return ""
}

// startCourse starts a fleet whose every part has a secret, and logs all there is to log.
func startCourse(t *testing.T, dsn string) (*course, *pgtest.DB) {
	t.Helper()
	db, providers := pgtest.New(t), providertest.New(t)
	c := &course{fleetUnderTest: &fleetUnderTest{t: t}, admin: "admin-token-of-the-secrets-test-01", outputs: map[string]string{}}
	base := providers.URL + "/v1"
	only(t, "DATABASE_URL", db.URL, "ADMIN_TOKEN", c.admin, "MILLRACE_ADDR", "127.0.0.1:0", "MILLRACE_LOG", "debug",
		"MILLRACE_METRICS_ADDR", "127.0.0.1:0", "SENTRY_DSN", dsn, "SENTRY_TRACES_SAMPLE_RATE", "1", "LIMIT_LOGINS", "0", "LIMIT_UPLOADS", "0",
		"LLM_PROVIDER", "openai", "LLM_URL", base, "LLM_MODEL", "m", "LLM_API_KEY", providertest.Key,
		"EMBEDDER", "openai", "EMBEDDER_URL", base, "EMBEDDER_MODEL", "test", "EMBEDDER_DIMENSIONS", "384", "EMBEDDER_API_KEY", providertest.Key,
		"RERANKER_URL", base, "RERANKER_API_KEY", "sk-reranker-not-the-right-one-77", "MILLRACE_QUEUES", "trials:1,tunes:1,wfo:1,ingestion:1,maintenance:1")
	parsed, err := url.Parse(db.URL)
	require.NoError(t, err)
	password, _ := parsed.User.Password()
	dsnURL, err := url.Parse(dsn)
	require.NoError(t, err)
	c.secrets = map[string]string{
		"the admin token": c.admin, "the model's key": providertest.Key, "the reranker's key": "sk-reranker-not-the-right-one-77",
		"Sentry's key": dsnURL.User.Username(),
	}
	if len(password) >= 8 {
		c.secrets["the database's password"] = password
	}
	for _, verb := range []string{"api", "worker"} {
		ctx, stop := context.WithCancel(context.Background())
		log, done := &lockedBuffer{}, make(chan int, 1)
		go func() { done <- run(ctx, []string{verb}, log, log) }()
		p := &process{t: t, log: log}
		p.await("metrics_addr=")
		if verb == "api" {
			c.url = "http://" + strings.Fields(p.await(" addr="))[0]
		}
		t.Cleanup(func() {
			stop()
			require.Zero(t, <-done, log)
			c.outputs["the log of the "+verb] = log.String()
		})
	}
	providers.Fail(providertest.Denied) // and quotes the key
	return c, db
}

// Nothing that opens anything is in a log, an event, a figure, an address, a report or a row, though
// everything is logged and everything fails.
func TestNoSecretComesOut(t *testing.T) {
	var mu sync.Mutex
	var reports bytes.Buffer
	sentry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&reports, r.Body)
		_, _ = w.Write([]byte(`{"id":"1"}`))
	}))
	t.Cleanup(sentry.Close)
	var c *course
	var db *pgtest.DB
	require.True(t, t.Run("course", func(t *testing.T) {
		c, db = startCourse(t, strings.Replace(sentry.URL, "http://", "http://sentrypublickey0123@", 1)+"/7")
		c.run(db)
	}))
	mu.Lock()
	c.outputs["the reports"] = reports.String()
	mu.Unlock()
	for where, what := range map[string]string{
		"the log of the api": "level=DEBUG", "the log of the worker": "worker ready", "the reports": "tune_leaderboard", "the answers": "http_requests_total",
		"the stream": "backtest.tune.completed", "the rows": "secretly named",
	} {
		require.Contains(t, c.outputs[where], what, "%s is there to be searched", where)
	}
	require.Contains(t, c.outputs["the rows"]+c.outputs["the log of the worker"], "Incorrect API key provided")
	require.GreaterOrEqual(t, len(c.secrets), 10, "%v", slices.Collect(maps.Keys(c.secrets)))
	for name, secret := range c.secrets {
		require.GreaterOrEqual(t, len(secret), 8, name)
		for where, text := range c.outputs {
			if name == "Sentry's key" && where == "the reports" {
				continue // they are sent with it
			}
			for form, shown := range map[string]string{
				"as it is": secret, "in base64": base64.StdEncoding.EncodeToString([]byte(secret)), "in hex": hex.EncodeToString([]byte(secret)), "quoted": url.QueryEscape(secret),
			} {
				if at := strings.Index(text, shown); at >= 0 {
					t.Errorf("%s is in %s, %s: …%s…", name, where, form, text[max(0, at-120):min(len(text), at+len(shown)+40)])
				}
			}
		}
	}
}

// run is the course.
func (c *course) run(db *pgtest.DB) {
	t := c.t
	asAdmin := []string{"Authorization", "", "X-Admin-Token", c.admin}
	made := func(member string, answer []byte) string {
		var view map[string]any
		require.NoError(t, json.Unmarshal(answer, &view), string(answer))
		value, _ := view[member].(string)
		require.NotEmpty(t, value, member)
		return value
	}
	// What an answer shows once is not searched for in that answer.
	_, _, answer := c.send(http.MethodPost, "/admin/workspaces", `{"name":"course"}`, asAdmin...)
	workspace := made("workspace_id", answer)
	for _, role := range []string{"owner", "member"} {
		_, _, answer = c.send(http.MethodPost, "/admin/workspaces/"+workspace+"/keys", `{"name":"secretly named `+role+`","role":"`+role+`"}`, asAdmin...)
		c.secrets["the key of the "+role] = made("secret", answer)
	}
	c.key = c.secrets["the key of the owner"]
	_, _, answer = c.send(http.MethodPost, "/workspace/keys", `{"name":"secretly named","role":"viewer"}`)
	c.secrets["the key of the viewer"] = made("secret", answer)

	// Tries that fail, with what may be another's secret.
	c.secrets["a wrong token"], c.secrets["a wrong key"] = "wrong-token-of-somebody-else-99", "mr_wrongwrongwrongwrong"
	for range 3 {
		c.ask(http.MethodPost, "/admin/login", `{"token":"`+c.secrets["a wrong token"]+`"}`)
		c.ask(http.MethodPost, "/admin/login", url.Values{"token": {c.secrets["a wrong token"]}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		c.ask(http.MethodGet, "/metrics", "", "X-Admin-Token", c.secrets["a wrong token"])
		c.ask(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+c.secrets["a wrong key"])
		c.ask(http.MethodGet, "/events/stream?key="+url.QueryEscape("x"), "", "Authorization", "Bearer "+c.secrets["a wrong key"])
	}
	session := c.cookie("millrace_session", "/admin/login", `{"token":"`+c.admin+`"}`)
	ticket := c.cookie("millrace_ticket", "/admin/events/ticket", `{"workspace_id":"`+workspace+`"}`, "Authorization", "", "Cookie", session, "Sec-Fetch-Site", "same-origin")
	c.follow(workspace, ticket)

	c.upload("secretly named", ohlcv.Sample())
	tune := c.submit("k", `{"dataset":"secretly named","strategy_name":"sma_cross","oos_ratio":0.3,"param_space":{"fast":[5,10],"slow":[50,100]},"gates":{"max_drawdown_pct":90}}`)
	c.wait(tune.TuneID, ended)
	status, answer := c.ask(http.MethodPost, "/ingest", `{"text":"A crossover fails in a market without trend.","title":"secretly named"}`, "X-Idempotency-Key", "i")
	require.Equal(t, http.StatusAccepted, status, string(answer))
	job := made("job_id", answer)
	require.Eventually(t, func() bool {
		_, answer := c.ask(http.MethodGet, "/ingest/jobs/"+job, "")
		return strings.Contains(string(answer), `"reason":"`) // why it waits; the provider's own words are kept elsewhere
	}, 30*time.Second, 50*time.Millisecond)
	for _, request := range [][]string{
		{http.MethodPost, "/query", `{"question":"When does a crossover fail?","mode":"answer","rerank":true}`},
		{http.MethodPost, "/kb/recommend", `{"strategy_name":"sma_cross","dataset":"secretly named"}`},
		{http.MethodPost, "/backtests/tunes/" + tune.TuneID + "/explain", ""},
	} {
		status, answer := c.ask(request[0], request[1], request[2])
		require.Equal(t, http.StatusOK, status, "%s: %s", request[1], answer)
	}
	for _, path := range []string{
		"/metrics", "/admin/system/health.json", "/admin/system/health", "/admin", "/admin/access", "/admin/query", "/admin/events", "/admin/ingestion", "/admin/tunes",
		"/admin/workspaces", "/admin/workspaces/" + workspace + "/keys", "/admin/pprof/cmdline", "/docs", "/docs/openapi.json", "/docs/asyncapi.json", "/admin/coverage/gaps",
	} {
		status, answer := c.ask(http.MethodGet, path, "", "Authorization", "", "Cookie", session, "Accept", "text/html")
		require.Equal(t, http.StatusOK, status, "%s: %s", path, answer)
	}
	c.ask(http.MethodGet, "/workspace/keys", "")
	c.ask(http.MethodGet, "/events?limit=1000", "")
	for _, verb := range [][]string{{"config"}, {"doctor"}, {"doctor", "--json"}} {
		var out bytes.Buffer
		run(t.Context(), verb, &out, &out)
		c.outputs["millrace "+strings.Join(verb, " ")] = out.String()
	}
	c.outputs["the rows"] = everyRow(c, db)

	// Something of ours breaks, and is reported.
	_, err := db.OwnerPool(t).Exec(t.Context(), `drop table tune_leaderboard cascade`)
	require.NoError(t, err)
	status, _ = c.ask(http.MethodGet, "/backtests/leaderboard?objective=sharpe", "")
	require.Equal(t, http.StatusInternalServerError, status)
}

// follow reads a stream by its ticket until the fleet stops.
func (c *course) follow(workspace, ticket string) {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.url+"/admin/events/stream?workspace_id="+workspace, nil)
	require.NoError(c.t, err)
	req.Header.Set("Cookie", ticket)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusOK, resp.StatusCode)
	read := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(resp.Body) // until the server goes
		read <- string(all)
	}()
	c.t.Cleanup(func() { c.outputs["the stream"] = <-read })
}

// everyRow is every row of every table as text.
func everyRow(c *course, db *pgtest.DB) string {
	pool := db.OwnerPool(c.t)
	rows, err := pool.Query(c.t.Context(), `
		select format('select coalesce(string_agg(t::text, E''\n''), '''') from %I t', relname) from pg_class
		 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by relname`)
	require.NoError(c.t, err)
	queries, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(c.t, err)
	var all strings.Builder
	for _, query := range queries {
		var text string
		require.NoError(c.t, pool.QueryRow(c.t.Context(), query).Scan(&text), query)
		all.WriteString(query + "\n" + text + "\n")
	}
	return all.String()
}
