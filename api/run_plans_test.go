package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
)

const smallPlan = `{"name":"costs","base":{"dataset":"sp500","strategy_name":"sma_cross","stops":{"stop_pct":10},
	"param_space":{"fast":[5,10],"slow":[50]},"gates":{"max_drawdown_pct":90}},
	"overrides":[{"side":"long"}],"grid":{"account.commission":[0,0.002]},"ablations":["stops"],"pinned":true}`

type planBody struct {
	ID       string `json:"run_plan_id"`
	Status   string `json:"status"`
	N        int    `json:"n_variants"`
	Done     int    `json:"variants_done"`
	Failed   int    `json:"variants_failed"`
	Variants []struct {
		ID        string         `json:"variant_id"`
		Kind      string         `json:"kind"`
		Overrides map[string]any `json:"overrides"`
		TuneID    string         `json:"tune_id"`
		Status    string         `json:"status"`
		BestScore *float64       `json:"best_score"`
		Delta     *float64       `json:"delta"`
	} `json:"variants"`
	Events []struct {
		Type   string `json:"event_type"`
		Pinned bool   `json:"pinned"`
	} `json:"events"`
}

func TestARunPlanRunsItsVariantsAndLeavesATrail(t *testing.T) {
	r := newFixture(t).withSample()
	submitted := r.do(http.MethodPost, "/run-plans", smallPlan, "X-Idempotency-Key", "p")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	location := submitted.header.Get("Location")
	plan := into[planBody](t, submitted)
	require.Equal(t, 5, plan.N)
	var kinds []string
	for _, v := range plan.Variants {
		kinds = append(kinds, v.Kind)
		require.Regexp(t, "^[0-9a-f]{16}$", v.ID)
	}
	require.Equal(t, []string{"baseline", "override", "grid", "grid", "ablation"}, kinds)

	r.startWorker()
	require.Eventually(t, func() bool {
		plan = into[planBody](t, r.do(http.MethodGet, location, ""))
		return plan.Status != "running"
	}, 30*time.Second, 20*time.Millisecond, "%+v", &plan)
	require.Equal(t, "completed", plan.Status)
	require.Equal(t, 5, plan.Done)
	require.Zero(t, *plan.Variants[0].Delta)
	free := plan.Variants[2]
	require.NotNil(t, free.BestScore)
	require.Greater(t, *free.Delta, 0.0, "trading for nothing is worth something")
	tune := into[struct {
		Spec struct {
			Account struct{ Commission float64 } `json:"account"`
		} `json:"spec"`
	}](t, r.do(http.MethodGet, "/backtests/tunes/"+free.TuneID, ""))
	require.Zero(t, tune.Spec.Account.Commission)
	seen := map[string]int{}
	for _, e := range plan.Events {
		seen[e.Type]++
		require.True(t, e.Pinned)
	}
	require.Equal(t, map[string]int{"RUN_STARTED": 1, "RUN_VARIANT_STARTED": 5, "RUN_VARIANT_COMPLETED": 5, "RUN_COMPLETED": 1}, seen)

	// Its own key outlives the stored response.
	_, err := r.db.OwnerPool(t).Exec(t.Context(), `delete from idempotency_keys`)
	require.NoError(t, err)
	again := r.do(http.MethodPost, "/run-plans", smallPlan, "X-Idempotency-Key", "p")
	require.Equal(t, http.StatusAccepted, again.status, string(again.body))
	require.Equal(t, plan.ID, into[planBody](t, again).ID)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	other := r.do(http.MethodPost, "/run-plans", strings.Replace(smallPlan, "costs", "more", 1), "X-Idempotency-Key", "p")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
	require.Equal(t, 5, r.count(`select count(*) from tunes`))

	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, location, "", "Authorization", "Bearer "+r.other).status)
	require.Len(t, into[struct{ Items []any }](t, r.do(http.MethodGet, "/run-plans?status=completed", "")).Items, 1)
	require.Equal(t, http.StatusConflict, r.do(http.MethodPost, location+"/cancel", "").status)
}

func TestARunPlanIsCanceled(t *testing.T) {
	r := newFixture(t).withSample()
	submitted := r.do(http.MethodPost, "/run-plans", smallPlan, "X-Idempotency-Key", "p")
	require.Equal(t, http.StatusAccepted, submitted.status, string(submitted.body))
	plan := into[planBody](t, r.do(http.MethodPost, submitted.header.Get("Location")+"/cancel", ""))
	require.Equal(t, "canceled", plan.Status)
	require.Equal(t, 5, plan.Failed)
	require.Equal(t, "RUN_CANCELED", plan.Events[len(plan.Events)-1].Type)
	require.Zero(t, r.count(`select count(*) from river_job where kind like 'tune%' and finalized_at is null`))
}

func TestBadRunPlansAreNamedAndStoreNothing(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Limits.QueueDepth = 3 }).withSample()
	for field, body := range map[string]string{
		"base":                  `{}`,
		"overrides":             `{"base":{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5]}},"grid":{"seed":[1,2,3,4]}}`,
		"base.dataset":          `{"base":{"strategy_name":"sma_cross","param_space":{"fast":[5]}}}`,
		"base.param_space.fast": `{"base":{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[]}}}`,
		"variants[1].oos_ratio": `{"base":{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5]}},"overrides":[{"oos_ratio":0.9}]}`,
		"variants[1].typo":      `{"base":{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5]}},"overrides":[{"typo":1}]}`,
		"ablations[0]":          `{"base":{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5]}},"ablations":["stops"]}`,
		"grid.seed":             `{"base":{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5]}},"grid":{"seed":[]}}`,
		"name":                  `{"name":"` + strings.Repeat("n", 101) + `","base":{}}`,
	} {
		a := r.do(http.MethodPost, "/run-plans", body, "X-Idempotency-Key", "bad")
		require.Contains(t, []int{400, 422}, a.status, string(a.body))
		p := into[struct{ Errors []struct{ Field string } }](t, a)
		require.NotEmpty(t, p.Errors, string(a.body))
		require.Equal(t, field, p.Errors[0].Field, string(a.body))
	}
	require.Zero(t, r.count(`select count(*) from run_plans`))
	require.Zero(t, r.count(`select count(*) from tunes`))
}
