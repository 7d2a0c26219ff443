package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

type gapAnswer struct {
	RunID          uuid.UUID `json:"run_id"`
	WorkspaceID    uuid.UUID `json:"workspace_id"`
	Kind, Intent   string
	Priority       float64
	CoverageStatus string `json:"coverage_status"`
	Resolution     *string
	ResolvedBy     *string `json:"resolved_by"`
	Seen           int
	Codes          []string `json:"reason_codes"`
	CandidateID    *string  `json:"candidate_id"`
	Note           *string
}

func (l *library) admin(method, path, body string) answer {
	l.t.Helper()
	return l.do(method, path, body, "Authorization", "", "X-Admin-Token", adminToken)
}

func (l *library) gaps(query string) []gapAnswer {
	l.t.Helper()
	a := l.admin(http.MethodGet, "/admin/coverage/gaps"+query, "")
	require.Equal(l.t, http.StatusOK, a.status, string(a.body))
	return into[struct{ Items []gapAnswer }](l.t, a).Items
}

// coverageEvents reads the log itself: the feed waits for every transaction of the server's other
// databases too.
func (l *library) coverageEvents() []string {
	l.t.Helper()
	rows, err := l.db.OwnerPool(l.t).Query(l.t.Context(), `select type from event_log where topic = 'coverage' order by xid, id`)
	require.NoError(l.t, err)
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(l.t, err)
	return types
}

func TestAGapOpensOnceAndCloses(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	const question = `{"question":"Does volatility targeting help?","mode":"retrieve"}`
	l.ask(question)
	l.ask(`{"question":"does VOLATILITY target help"}`)
	gaps := l.gaps("")
	require.Len(t, gaps, 1)
	require.Equal(t, 2, gaps[0].Seen)
	require.Equal(t, "open", gaps[0].CoverageStatus)
	require.Equal(t, []string{"NO_MATCHES"}, gaps[0].Codes)
	require.InDelta(t, 0.5+0.2+0.15+0.05, gaps[0].Priority, 1e-9)
	require.Equal(t, 2, l.count(`select count(*) from match_runs`), "each run has its row")

	// A gap loses the bonus of the young after a day.
	_, err := l.db.OwnerPool(t).Exec(t.Context(), `update match_runs set created_at = now() - interval '25 hours'`)
	require.NoError(t, err)
	require.InDelta(t, 0.85, l.gaps("")[0].Priority, 1e-9)

	acknowledged := l.admin(http.MethodPost, "/admin/coverage/gaps/"+gaps[0].RunID.String()+"/acknowledge", "")
	require.Equal(t, http.StatusOK, acknowledged.status, string(acknowledged.body))
	require.Equal(t, "acknowledged", into[gapAnswer](t, acknowledged).CoverageStatus)
	require.Empty(t, l.gaps("?status=open"))

	document, _ := l.put(l.alpha, pgtest.Document{Title: "Volatility targeting", Texts: []string{"Volatility targeting helps a little."}})
	l.ask(question)
	resolved := l.gaps("")[0]
	require.Equal(t, "resolved", resolved.CoverageStatus)
	require.Equal(t, "matched", *resolved.Resolution)
	require.Equal(t, "system", *resolved.ResolvedBy)
	require.Equal(t, document.String(), *resolved.CandidateID)
	require.Equal(t, []string{"coverage.weak_run.created", "coverage.weak_run.updated", "coverage.weak_run.updated", "coverage.weak_run.updated"}, l.coverageEvents())
	require.Zero(t, l.count(`select count(*) from match_runs where coverage_status <> 'resolved'`))
}

func TestAGapIsResolvedByHand(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	l.recommend(wantedJSON)
	gap := l.gaps("?kind=recommend")[0]
	require.Contains(t, gap.Intent, "sma_cross")
	path := "/admin/coverage/gaps/" + gap.RunID.String()
	resolve := func(body string) answer { return l.admin(http.MethodPost, path+"/resolve", body) }
	mine, theirs := l.pastTune(l.alpha, market, 1, nil), uuid.New()
	for body, status := range map[string]int{
		`{}`: 400, `{"note":"  "}`: 400, `{"candidate_id":"x"}`: 422, `{"candidate_id":"` + theirs.String() + `"}`: 422,
		fmt.Sprintf(`{"candidate_type":"horse","candidate_id":%q}`, mine):    422,
		fmt.Sprintf(`{"candidate_type":"document","candidate_id":%q}`, mine): 422,
		`{"note":"n","by":"me"}`: 400,
	} {
		require.Equal(t, status, resolve(body).status, body)
	}
	require.Equal(t, "open", into[gapAnswer](t, l.admin(http.MethodGet, path, "")).CoverageStatus)
	a := resolve(fmt.Sprintf(`{"candidate_id":%q,"note":"tuned since"}`, mine))
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	done := into[gapAnswer](t, a)
	require.Equal(t, "resolved", done.CoverageStatus)
	require.Equal(t, "candidate", *done.Resolution)
	require.Equal(t, mine.String(), *done.CandidateID)
	require.Equal(t, "tuned since", *done.Note)
	require.Equal(t, http.StatusConflict, resolve(`{"note":"again"}`).status)
	require.Equal(t, http.StatusConflict, l.admin(http.MethodPost, path+"/acknowledge", "").status)

	l.recommend(wantedJSON) // still too few: a new gap
	again := l.gaps("?status=open")[0]
	require.NotEqual(t, gap.RunID, again.RunID)
	require.Equal(t, http.StatusOK, l.admin(http.MethodPost, "/admin/coverage/gaps/"+again.RunID.String()+"/resolve", `{"note":"wait"}`).status)
	require.Equal(t, http.StatusNotFound, l.admin(http.MethodGet, "/admin/coverage/gaps/"+uuid.NewString(), "").status)
	require.Equal(t, http.StatusUnauthorized, l.do(http.MethodGet, "/admin/coverage/gaps", "").status)
}

func TestGapsPageByPriority(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	l.put(l.alpha, crossovers)
	l.ask(`{"question":"xylophone"}`)                                    // nothing: 0.9
	l.ask(`{"question":"crossover futures options bonds forex"}`)        // a fifth: 0.65
	l.ask(`{"question":"crossover futures market options bonds forex"}`) // a third: less
	l.do(http.MethodPost, "/query", `{"question":"zeppelin"}`, "Authorization", "Bearer "+l.other)
	require.Len(t, l.gaps("?workspace_id="+l.alpha.ID.String()), 3)
	var priorities []float64
	for path := "/admin/coverage/gaps?limit=1"; ; {
		a := l.admin(http.MethodGet, path, "")
		page := into[struct {
			Items []gapAnswer
			Next  *string `json:"next_cursor"`
		}](t, a)
		for _, g := range page.Items {
			priorities = append(priorities, g.Priority)
		}
		if page.Next == nil {
			break
		}
		path = "/admin/coverage/gaps?limit=1&cursor=" + *page.Next
	}
	require.Len(t, priorities, 4)
	require.IsDecreasing(t, priorities[1:])
	require.Equal(t, priorities[0], priorities[1])
	for _, bad := range []string{"?status=odd", "?kind=odd", "?workspace_id=x", "?cursor=x", "?limit=0"} {
		require.Equal(t, http.StatusBadRequest, l.admin(http.MethodGet, "/admin/coverage/gaps"+bad, "").status, bad)
	}
}

func TestAMatchIsExplained(t *testing.T) {
	l := newLibrary(t)
	l.withSample()
	run := l.recommend(wantedJSON).RunID
	a := l.admin(http.MethodPost, "/admin/coverage/explain", fmt.Sprintf(`{"run_id":%q}`, run))
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	got := into[struct {
		Text, Model string
		Degraded    bool
		ReasonCode  string `json:"reason_code"`
	}](t, a)
	require.Contains(t, got.Text, "parameters of sma_cross")
	require.Contains(t, got.Text, "Nothing matched: tune the strategy")
	require.Equal(t, "llm_unconfigured", got.ReasonCode)
	require.Equal(t, http.StatusNotFound, l.admin(http.MethodPost, "/admin/coverage/explain", `{"run_id":"`+uuid.NewString()+`"}`).status)
	require.Equal(t, http.StatusUnprocessableEntity, l.admin(http.MethodPost, "/admin/coverage/explain", `{}`).status)
}
