package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

const documentScript = "//@version=6\nstrategy(\"From a document\")\nn = input.int(7, \"Bars\", minval=2)\nif bar_index % n == 0\n    strategy.entry(\"L\", strategy.long)\nif bar_index % n == 3\n    strategy.close(\"L\")\n"

// An ingested script says whether it can be tuned, and one that can becomes a strategy by one call.
func TestAStrategyIsMadeOfADocument(t *testing.T) {
	l := newLibrary(t)
	l.ingesting()
	ingested := func(path, key, text string) types.DocumentDetail {
		a := l.do(http.MethodPost, path, body(t, map[string]string{"text": text, "name": key}), "X-Idempotency-Key", key)
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
		at := "/documents/" + into[ingestAnswer](t, a).DocumentID
		var doc types.DocumentDetail
		require.Eventually(t, func() bool {
			doc = into[types.DocumentDetail](t, l.do(http.MethodGet, at, ""))
			return doc.Status == "ready"
		}, time.Minute, 20*time.Millisecond)
		return doc
	}
	make := func(doc types.DocumentDetail, body string) answer {
		return l.do(http.MethodPost, "/documents/"+doc.DocumentID+"/strategy", body, "X-Idempotency-Key", "of-"+doc.DocumentID)
	}
	script := ingested("/ingest/pine", "s.pine", documentScript)
	require.Equal(t, true, script.Metadata["tunable"])
	require.NotContains(t, script.Metadata, "script", "a list of documents does not carry their texts")
	made := make(script, `{"name":"mine"}`)
	require.Equal(t, http.StatusCreated, made.status, string(made.body))
	strategy := into[types.Strategy](t, made)
	require.Equal(t, "pine:mine@1", strategy.Name)
	require.EqualValues(t, "checking", strategy.Status, "it is examined as one that is uploaded")
	source := into[types.StrategySource](t, l.do(http.MethodGet, "/strategies/"+strategy.StrategyID+"/source", ""))
	require.Equal(t, strings.TrimSpace(documentScript), strings.TrimSpace(source.Source))
	require.Equal(t, string(made.body), string(make(script, `{"name":"mine"}`).body))

	indicator := ingested("/ingest/pine", "i.pine", "//@version=6\nindicator(\"x\")\nplot(close)\n")
	require.Equal(t, false, indicator.Metadata["tunable"])
	refused := make(indicator, `{}`)
	require.Equal(t, http.StatusUnprocessableEntity, refused.status)
	var p types.ProblemError
	require.NoError(t, json.Unmarshal(refused.body, &p))
	require.Equal(t, 2, p.Errors[0].Line)
	require.Equal(t, "P302", p.Errors[0].Code)

	notes := ingested("/ingest/text", "n.txt", "A crossover fails in a market without trend.")
	require.Equal(t, http.StatusConflict, make(notes, `{}`).status)
	foreign := l.do(http.MethodPost, "/documents/"+script.DocumentID+"/strategy", `{}`, "Authorization", "Bearer "+l.other, "X-Idempotency-Key", "theirs")
	require.Equal(t, http.StatusNotFound, foreign.status)
}
