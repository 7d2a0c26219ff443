package api_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tuned submits a tune and waits for its end.
func (r *fixture) tuned(key, body string) string {
	r.t.Helper()
	submitted := r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", key)
	require.Equal(r.t, http.StatusAccepted, submitted.status, string(submitted.body))
	type state struct {
		ID     string `json:"tune_id"`
		Status string `json:"status"`
	}
	var now state
	require.Eventually(r.t, func() bool {
		now = into[state](r.t, r.do(http.MethodGet, submitted.header.Get("Location"), ""))
		return now.Status == "completed"
	}, 30*time.Second, 20*time.Millisecond)
	return now.ID
}

func (r *fixture) rows(path string) ([][]string, answer) {
	r.t.Helper()
	a := r.do(http.MethodGet, path, "")
	require.Equal(r.t, http.StatusOK, a.status, string(a.body))
	require.Equal(r.t, "text/csv; charset=utf-8", a.header.Get("Content-Type"))
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	require.NoError(r.t, err)
	return rows, a
}

func TestTunesAreComparedListedAndExported(t *testing.T) {
	r := newFixture(t).withSample()
	r.startWorker()
	a := r.tuned("a", smallTune)
	b := r.tuned("b", strings.Replace(smallTune, `"sma_cross"`, `"ema_cross"`, 1))
	c := r.tuned("c", strings.Replace(smallTune, "0.3", "0.4", 1))

	t.Run("compare", func(t *testing.T) {
		ids := a + "," + b + "," + c
		got := into[struct {
			Tunes []struct {
				ID string `json:"tune_id"`
			} `json:"tunes"`
			Fields []struct {
				Group, Field string
				Differs      bool
				Values       []json.RawMessage
			} `json:"fields"`
			Differs []string `json:"differs"`
		}](t, r.do(http.MethodGet, "/backtests/compare?ids="+ids, ""))
		require.Equal(t, []string{a, b, c}, []string{got.Tunes[0].ID, got.Tunes[1].ID, got.Tunes[2].ID})
		values := map[string][]json.RawMessage{}
		for _, f := range got.Fields {
			require.Len(t, f.Values, 3)
			values[f.Group+"."+f.Field] = f.Values
		}
		require.Equal(t, `"ema_cross"`, string(values["settings.strategy_name"][1]))
		require.Subset(t, got.Differs, []string{"settings.strategy_name", "settings.oos_ratio"})
		require.NotContains(t, got.Differs, "settings.dataset")
		for _, name := range []string{"params.fast", "metrics_oos.sharpe", "overfit.dsr", "regime.vector.rsi", "regime.tags", "result.best_score", "settings.account.cash"} {
			require.Contains(t, values, name)
		}
		rows, _ := r.rows("/backtests/compare?format=csv&ids=" + ids)
		require.Equal(t, []string{"group", "field", "differs", a, b, c}, rows[0])
		require.Len(t, rows, len(got.Fields)+1)
		for query, status := range map[string]int{
			"": 400, "ids=x": 400, "ids=" + a + "," + a: 400, "ids=" + strings.Repeat(a+",", 20) + b: 400,
			"ids=01a2102c-0000-7000-8000-000000000000": 404,
		} {
			require.Equal(t, status, r.do(http.MethodGet, "/backtests/compare?"+query, "").status, query)
		}
		require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/backtests/compare?ids="+a, "", "Authorization", "Bearer "+r.other).status)
	})

	t.Run("leaderboard", func(t *testing.T) {
		whole, _ := r.rows("/backtests/leaderboard?format=csv&limit=1000")
		require.Greater(t, len(whole), 10)
		var paged [][]string
		for path := "/backtests/leaderboard?format=csv&limit=7"; path != ""; {
			rows, a := r.rows(path)
			paged = append(paged, rows[1:]...)
			path, _, _ = strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
		}
		require.Equal(t, whole[1:], paged)
		best, _ := r.rows("/backtests/leaderboard?format=csv&best_of_tune=true")
		require.Len(t, best, 4)
		require.Equal(t, whole[1], best[1])
		narrow, _ := r.rows("/backtests/leaderboard?format=csv&strategy=sma_cross&dataset=sp500&min_trades=10&max_drawdown_pct=40&min_return_pct=-5&max_overfit_gap=0.5&limit=1000")
		require.Greater(t, len(narrow), 1)
		require.Less(t, len(narrow), len(whole))
		for _, row := range narrow[1:] {
			require.Equal(t, "sma_cross", row[2])
		}
		for _, query := range []string{"objective=odd", "strategy=odd", "min_trades=-1", "max_drawdown_pct=NaN", "cursor=!"} {
			require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/backtests/leaderboard?"+query, "").status, query)
		}
	})

	t.Run("trials", func(t *testing.T) {
		all, _ := r.rows("/backtests/tunes/" + a + "/trials?format=csv")
		require.Len(t, all, 13)
		require.Equal(t, []string{"trial_index", "status", "fast", "slow", "score"}, all[0][:5])
		rows, page := r.rows("/backtests/tunes/" + a + "/trials?format=csv&limit=5")
		require.Equal(t, all[:6], rows)
		require.Contains(t, page.header.Get("Link"), `rel="next"`)
		ranked, _ := r.rows("/backtests/tunes/" + a + "/trials?format=csv&sort=score")
		require.Len(t, ranked, 13)
	})
}
