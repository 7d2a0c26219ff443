package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// What a process remembers of a name is not believed: a submission takes the dataset that the name means by then, also when
// another process has extended, deleted or made it meanwhile, and what is refused is refused by what is there.
func TestANameThatIsRememberedMeansWhatItMeansNow(t *testing.T) {
	r := newFixture(t)
	other := r.processes()[1]
	file := candles(t, 1, 900)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "spx", lines(file, 0, 400)).status)
	key := 0
	submit := func(path, more string) answer {
		key++
		return r.do(http.MethodPost, path, `{"dataset":"spx","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[20,50]}`+more+`}`, "X-Idempotency-Key", fmt.Sprint(key))
	}
	tune := func(more string) types.Tune {
		a := submit("/backtests/tune", more)
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
		return into[types.Tune](t, a)
	}
	const tooLong = `,"oos_ratio":0.3` // 280 bars and 120 of 400; too few of 250
	require.Equal(t, "spx", tune(tooLong).Dataset)
	require.Equal(t, http.StatusOK, other.extend("spx", lines(file, 390, 900), nil).status)
	require.Equal(t, "spx@2", tune("").Dataset)
	a := submit("/backtests/wfo", `,"wfo_config":{"train_days":200,"test_days":100,"step_days":100,"min_folds":2}`)
	require.Equal(t, http.StatusAccepted, a.status, string(a.body))
	require.Equal(t, "spx@2", into[types.WFO](t, a).Dataset)

	require.Equal(t, http.StatusCreated, r.upload(r.key, "gone", lines(file, 0, 250)).status)
	body := `{"dataset":"gone","strategy_name":"sma_cross","oos_ratio":0.3,"param_space":{"fast":[5,10],"slow":[20,50]}}`
	short := r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "short")
	require.Equal(t, http.StatusUnprocessableEntity, short.status, string(short.body))
	require.Equal(t, http.StatusOK, other.extend("gone", lines(file, 240, 900), nil).status)
	long := r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "long")
	require.Equal(t, http.StatusAccepted, long.status, "refused by a version of before: "+string(long.body))

	require.Equal(t, http.StatusCreated, r.upload(r.key, "brief", lines(file, 0, 400)).status)
	body = `{"dataset":"brief","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[20,50]}}`
	require.Equal(t, http.StatusUnprocessableEntity, r.do(http.MethodPost, "/backtests/tune", `{"dataset":"brief","strategy_name":"none"}`, "X-Idempotency-Key", "d0").status)
	r.exec(`delete from datasets where name = 'brief'`)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "d1").status)
	require.Equal(t, http.StatusCreated, other.upload(r.key, "brief", lines(file, 100, 500)).status)
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "d2").status)
	r.exec(`update datasets set name = 'brief2' where name = 'brief'`)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "d3").status)
}
