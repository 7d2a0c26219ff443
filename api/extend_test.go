package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// lines are the header of a file of bars and so many of its rows.
func lines(file []byte, from, to int) []byte {
	all := strings.SplitAfter(string(file), "\n")
	return []byte(all[0] + strings.Join(all[1+from:1+to], ""))
}

func (r *fixture) extend(name string, file []byte, fields map[string]string) answer {
	r.t.Helper()
	return r.sendBars(r.key, "/datasets/"+name+"/bars", file, fields)
}

func (r *fixture) tuneOn(dataset, key string) types.Tune {
	r.t.Helper()
	return r.endedTune("/backtests/tune", `{"dataset":"`+dataset+`","strategy_name":"sma_cross","oos_ratio":0.3,"param_space":{"fast":[5,10],"slow":[50,100]},
		"gates":{"max_drawdown_pct":100,"min_trades":0}}`, key)
}

// A tune uses the version that was the newest when it was submitted, or the one that it names, and keeps it.
func TestATunePinsTheVersionItUsed(t *testing.T) {
	r := newFixture(t)
	r.startWorker()
	file := candles(t, 1, 900)
	first := r.upload(r.key, "spx", lines(file, 0, 800))
	require.Equal(t, http.StatusCreated, first.status, string(first.body))
	before := r.tuneOn("spx", "before")
	grown := r.extend("spx", lines(file, 790, 900), nil)
	require.Equal(t, http.StatusOK, grown.status, string(grown.body))
	made := into[types.ExtendedDataset](t, grown)
	require.Equal(t, []any{true, 100, 10, "spx", 2, "spx@2", 900}, []any{
		made.Made, made.AddedBars, made.OverlappingBars, made.Dataset.Name, made.Dataset.Version, made.Dataset.FullName, made.Dataset.Bars,
	})
	require.Equal(t, "/datasets/"+made.Dataset.DatasetID, grown.header.Get("Location"))
	after, exact := r.tuneOn("spx", "after"), r.tuneOn("spx@1", "exact")
	require.Equal(t, []string{"spx", "spx@2", "spx"}, []string{before.Dataset, after.Dataset, exact.Dataset})
	require.Equal(t, before.Leaderboard, exact.Leaderboard, "the first version is no longer what it was")
	require.NotEqual(t, before.Leaderboard, after.Leaderboard)

	again := into[types.ExtendedDataset](t, r.extend("spx@1", lines(file, 790, 900), nil))
	require.False(t, again.Made, "the same bars made another version")
	require.Equal(t, made.Dataset, again.Dataset)
	whole := into[types.Dataset](t, r.upload(r.key, "spx", file))
	require.Equal(t, made.Dataset.DatasetID, whole.DatasetID, "the whole file is another dataset than its parts")

	versions := into[types.List[types.DatasetVersion]](t, r.do(http.MethodGet, "/datasets/spx/versions?limit=1", ""))
	require.EqualValues(t, "append", versions.Items[0].Change)
	require.Equal(t, types.ResultCounts{Tunes: 1}, versions.Items[0].Results)
	versions = into[types.List[types.DatasetVersion]](t, r.do(http.MethodGet, "/datasets/spx/versions?cursor="+*versions.NextCursor, ""))
	require.Equal(t, types.ResultCounts{Tunes: 2}, versions.Items[0].Results)
	require.Nil(t, versions.NextCursor)
	board := into[types.List[types.Standing]](t, r.do(http.MethodGet, "/backtests/leaderboard?best_of_tune=true&dataset=spx", ""))
	require.Len(t, board.Items, 3, "a name is all of its versions in the leaderboard")
	board = into[types.List[types.Standing]](t, r.do(http.MethodGet, "/backtests/leaderboard?best_of_tune=true&dataset=spx@2", ""))
	require.Len(t, board.Items, 1)
}

// What cannot continue the stored bars is refused with what differs or what to state, and leaves nothing.
func TestWhatDoesNotContinueTheBarsIsRefused(t *testing.T) {
	r := newFixture(t)
	file := candles(t, 1, 400)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "spx", lines(file, 0, 300)).status)
	row := strings.Split(string(file), "\n")
	at := strings.Split(row[291], ",")
	changed := strings.Replace(string(lines(file, 280, 310)), row[291], strings.Join(append(at[:5:5], "7"), ","), 1)
	shifted := strings.ReplaceAll(string(lines(file, 300, 310)), "T00:00:00Z", "T05:00:00Z")
	for name, tc := range map[string]struct {
		body   string
		fields map[string]string
		status int
		field  string
		says   []string
	}{
		"another volume":      {changed, nil, 409, "file", []string{at[0], `"column":"volume"`, `"stored":` + at[5], `"sent":7`}},
		"a bar that is gone":  {strings.Replace(changed, strings.Join(append(at[:5:5], "7"), ",")+"\n", "", 1), nil, 409, "file", []string{at[0], "is stored and was not sent"}},
		"another hour":        {shifted, nil, 422, "time_zone", []string{"stored at 00:00 UTC and sent at 05:00 UTC"}},
		"an option's value":   {string(lines(file, 300, 310)), map[string]string{"rewrite": "yes"}, 422, "rewrite", []string{"must be true"}},
		"a part as a rewrite": {string(lines(file, 200, 310)), map[string]string{"rewrite": "true"}, 422, "rewrite", []string{"do not reach from the first stored one"}},
		"a field of uploads":  {string(lines(file, 300, 310)), map[string]string{"name": "x"}, 400, "name", []string{"is not a part"}},
		"another timeframe":   {"time,open,high,low,close\n2099-01-01T00:00:00Z,1,1,1,1\n2099-01-01T01:00:00Z,1,1,1,1\n", map[string]string{"time_range": "any"}, 422, "timeframe", []string{"1d contradicts the bars"}},
		"rows that are wrong": {"time,open,high,low,close\n2024-01-01,1,0,1,1\n", nil, 422, "file.row[2].high", nil},
	} {
		a := r.extend("spx", []byte(tc.body), tc.fields)
		require.Equal(t, tc.status, a.status, "%s: %s", name, a.body)
		require.Contains(t, string(a.body), `"field":"`+tc.field+`"`, name)
		for _, says := range tc.says {
			require.Contains(t, string(a.body), says, name)
		}
	}
	require.Equal(t, http.StatusNotFound, r.extend("nothing", lines(file, 300, 310), nil).status)
	require.Equal(t, http.StatusUnprocessableEntity, r.upload(r.key, "spx@2", file).status, "an upload takes the name of a version")
	require.Equal(t, 1, r.count(`select count(*) from datasets`), "what was refused left a version")
}

// What was stated of the first file holds for those that follow: a row alone would leave its date open.
func TestAnAppendedFileIsReadAsTheFirstOne(t *testing.T) {
	r := newFixture(t)
	file := "Date,Open,High,Low,Close\n13/02/2024 10:00,1,1,1,1\n13/02/2024 11:00,1,1,1,1\n13/02/2024 12:00,1,1,1,1\n"
	a := r.sendBars(r.key, "/datasets", []byte(file), map[string]string{"name": "fx", "symbol": "FX", "time_zone": "America/New_York"})
	require.Equal(t, http.StatusCreated, a.status, string(a.body))
	a = r.extend("fx", []byte("Date,Open,High,Low,Close\n05/03/2024 10:00,1,1.2345,1,1.2345\n"), nil)
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	made := into[types.ExtendedDataset](t, a)
	require.Equal(t, time.Date(2024, 3, 5, 15, 0, 0, 0, time.UTC), made.Dataset.To)
	require.Equal(t, 0.0001, *made.Dataset.TickSize, "a guessed tick follows finer prices")
}

func TestAnotherDescriptionIsAVersion(t *testing.T) {
	r := newFixture(t)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "spx", candles(t, 1, 300)).status)
	change := func(body string) answer { return r.do(http.MethodPatch, "/datasets/spx", body) }
	for range 2 {
		made := into[types.Dataset](t, change(`{"currency":"USD","point_value":50}`))
		require.Equal(t, []any{2, "USD", 50.0}, []any{made.Version, made.Currency, *made.PointValue})
	}
	for body, field := range map[string]string{
		`{"calendar":251}`: "calendar", `{"tick_size":-1}`: "tick_size", `{"time_zone":"Mars"}`: "time_zone", `{"session":"9-5"}`: "session", `{"currency":"us"}`: "currency",
	} {
		a := change(body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
		require.Contains(t, string(a.body), `"field":"`+field+`"`)
	}
	require.Equal(t, 2, r.count(`select count(*) from datasets`))
}

func TestARewriteSaysWhatItMakesStale(t *testing.T) {
	r := newFixture(t)
	r.startWorker()
	file := candles(t, 1, 800)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "spx", file).status)
	tune := r.tuneOn("spx", "one")
	a := r.extend("spx", candles(t, 2, 800), map[string]string{"rewrite": "true"})
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	made := into[types.ExtendedDataset](t, a)
	require.Contains(t, made.Note, "800 bars changed")
	require.Equal(t, types.StaleResults{ResultCounts: types.ResultCounts{Tunes: 1}, IDs: []string{tune.TuneID}}, made.Stale)
	events := string(r.do(http.MethodGet, "/events?topics=backtests&limit=1000", "").body)
	require.Contains(t, events, `"backtest.dataset.version"`)
	require.Contains(t, events, `"stale_results":1`)
}
