package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestBadInputIsNamedAndStoresNothing(t *testing.T) {
	r := newFixture(t).withSample()
	edit := func(old, new string) string { return strings.Replace(smallTune, old, new, 1) }
	require.NotEqual(t, smallTune, edit("0.3", "0.6"))
	key := []string{"X-Idempotency-Key", "bad"}
	tests := []struct {
		name, body string
		headers    []string
		status     int
		field      string
	}{
		{"no key", smallTune, nil, 400, "X-Idempotency-Key"},
		{"long key", smallTune, []string{"X-Idempotency-Key", strings.Repeat("k", 256)}, 400, "X-Idempotency-Key"},
		{"control character in key", smallTune, []string{"X-Idempotency-Key", "a\tb"}, 400, "X-Idempotency-Key"},
		{"unknown strategy", edit("sma_cross", "magic"), key, 422, "strategy_name"},
		{"parameter out of bounds", edit("[50,100,200]", "[50,99999]"), key, 422, "param_space.slow"},
		{"empty list", edit("[50,100,200]", "[]"), key, 422, "param_space.slow"},
		{"huge grid", edit(`"high":20,"step":5},"slow":[50,100,200]`, `"high":1000},"slow":{"low":2,"high":5000}`), key, 422, "n_trials"},
		{"ratio", edit("0.3", "0.6"), key, 422, "oos_ratio"},
		{"dataset not there", edit(`"sp500"`, `"nope"`), key, 404, "dataset"},
		{"constraint leaves nothing", edit(`"gates"`, `"constraints":["fast > slow"],"gates"`), key, 422, "constraints"},
		{"unknown member", edit(`"gates"`, `"gate"`), key, 400, "gate"},
		{"duplicate member", edit(`"dataset":"sp500"`, `"dataset":"sp500","dataset":"sp500"`), key, 400, "dataset"},
		{"wrong type", edit("0.3", `"a third"`), key, 400, "oos_ratio"},
		{"unknown commission", edit(`"gates"`, `"account":{"commission":"cheap"},"gates"`), key, 400, "account.commission"},
		{"a fraction of a trial", edit(`"gates"`, `"n_trials":1.5,"gates"`), key, 400, "n_trials"},
		{"more trials than a number holds", edit(`"gates"`, `"n_trials":9223372036854775808,"gates"`), key, 400, "n_trials"},
		{"high commission", edit(`"gates"`, `"account":{"commission":0.5},"gates"`), key, 422, "account.commission"},
		{"not JSON", "{", key, 400, "body"},
		{"body over the limit", `{"dataset":"` + strings.Repeat("x", 10<<20) + `"}`, key, 413, "body"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := r.do(http.MethodPost, "/backtests/tune", test.body, test.headers...)
			require.Equal(t, test.status, a.status, string(a.body))
			require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
			p := into[struct {
				Status int
				Title  string
				Errors []struct{ Field, Message string }
			}](t, a)
			require.Equal(t, test.status, p.Status)
			require.NotEmpty(t, p.Errors, string(a.body))
			require.True(t, strings.HasPrefix(p.Errors[0].Field, test.field), string(a.body))
			require.NotEmpty(t, p.Errors[0].Message)
			require.NotContains(t, []string{strconv.ErrSyntax.Error(), strconv.ErrRange.Error()}, p.Errors[0].Message)
		})
	}
	for _, file := range []struct{ name, csv, field string }{
		{"empty", "", "file"},
		{"no columns", "a,b\n1,2\n", "file"},
		{"no table", "root:x:0:0:root:/root:/bin/bash\n", "file"},
		{"bad price", "date,open,high,low,close\n2020-01-01,1,2,0.5,1\n2020-01-02,1,x,0.5,1\n", "file.row[3].high"},
		{"time goes back", "date,open,high,low,close\n2020-01-02,1,2,0.5,1\n2020-01-04,1,2,0.5,1\n2020-01-03,1,2,0.5,1\n", "order"},
	} {
		a := r.upload(r.key, "broken", []byte(file.csv))
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", file.name, a.body)
		p := into[struct{ Errors []struct{ Field string } }](t, a)
		require.Equal(t, file.field, p.Errors[0].Field, "%s: %s", file.name, a.body)
	}
	require.Equal(t, http.StatusConflict, r.upload(r.key, "sp500", []byte("date,open,high,low,close\n2020-01-01,1,2,0.5,1\n")).status)
	require.Zero(t, r.count(`select count(*) from tunes`))
	require.Zero(t, r.count(`select count(*) from river_job`))
	require.Zero(t, r.count(`select count(*) from idempotency_keys`))
	require.Equal(t, 1, r.count(`select count(*) from datasets`))
	for _, path := range []string{"/backtests/tunes?limit=0", "/backtests/tunes?cursor=!", "/events?after=zzz", "/backtests/tunes?status=odd"} {
		require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, path, "").status, path)
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, fmt.Sprintf("/backtests/tunes/%s", "not-an-id"), "").status)
}

// The cursors of lists are made by us, and may be sent by anybody: a number that no column of the list can hold is named.
func TestACursorBeyondItsColumnIsNamed(t *testing.T) {
	r := newFixture(t).withSample()
	tune := into[struct {
		TuneID string `json:"tune_id"`
	}](t, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k")).TuneID
	cursor := func(parts ...string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "\n")))
	}
	admin := []string{"Authorization", "Bearer " + adminToken}
	for _, number := range []string{"2147483648", "9223372036854775807", "9223372036854775808", "-1", "1e3"} {
		for _, path := range []string{
			"/datasets/sp500/versions?cursor=" + cursor(number),
			"/backtests/tunes/" + tune + "/trials?cursor=" + cursor(number),
			"/backtests/leaderboard?cursor=" + cursor("1", uuid.NewString(), number),
		} {
			a := r.do(http.MethodGet, path, "")
			require.Equal(t, http.StatusBadRequest, a.status, "%s %s: %s", path, number, a.body)
			require.Contains(t, string(a.body), `"field":"cursor"`, path)
		}
	}
	// Places that are as long as a cursor may be are beyond the end of the list.
	const far = "9223372036854775807"
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/audit?cursor="+far, "").status)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/admin/retention/logs?cursor="+cursor(far), "", admin...).status)
}

// A problem names its field also where the body is broken, or has a member without a name.
func TestABrokenBodyIsNamed(t *testing.T) {
	r := newFixture(t).withSample()
	field := func(a answer) string {
		t.Helper()
		require.Equal(t, http.StatusBadRequest, a.status, string(a.body))
		p := into[struct {
			Errors []struct{ Field, Message string }
		}](t, a)
		require.NotEmpty(t, p.Errors, string(a.body))
		require.NotEmpty(t, p.Errors[0].Message)
		return p.Errors[0].Field
	}
	require.Equal(t, `""`, field(r.do(http.MethodPost, "/strategies/check", `{"":""}`)))
	require.Equal(t, `account.""`, field(r.do(http.MethodPost, "/backtests/tune", `{"account":{"":1}}`, "X-Idempotency-Key", "k")))
	const form = "multipart/form-data; boundary=x"
	for _, path := range []string{"/datasets", "/datasets/inspect", "/datasets/sp500/bars", "/ingest"} {
		key := []string{"X-Idempotency-Key", path}
		require.Equal(t, "body", field(r.do(http.MethodPost, path, "--x\r\nContent-Disposition", append(key, "Content-Type", form)...)), path)
		require.NotEmpty(t, field(r.do(http.MethodPost, path, "a=%zz", append(key, "Content-Type", "multipart/form-data")...)), path)
	}
}
