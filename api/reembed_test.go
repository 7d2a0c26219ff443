package api_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/ops"
)

func TestAWorkspaceIsReembeddedOnRequest(t *testing.T) {
	server := providertest.New(t)
	l := newLibrary(t, func(p *knowledge.Parts, m *ops.Metrics) {
		e, err := provider.NewOllamaEmbedder(provider.EmbedderOptions{Endpoint: provider.Endpoint{URL: server.URL, Model: "all-minilm"}})
		require.NoError(t, err)
		p.Embedders = append(p.Embedders, provider.NewEmbedder(e, &m.Knowledge, limits))
	})
	l.put(l.alpha, crossovers)
	path := "/admin/workspaces/" + l.alpha.ID.String() + "/reembed"
	move := func(path, body, key string) answer {
		return l.do(http.MethodPost, path, body, "Authorization", "", "X-Admin-Token", adminToken, "X-Idempotency-Key", key)
	}
	a := move(path, `{"provider":"ollama"}`, "one")
	require.Equal(t, http.StatusAccepted, a.status, string(a.body))
	got := into[struct {
		Status, Provider, Model, Collection string
		From                                string `json:"from_collection"`
		Total                               int
	}](t, a)
	require.Equal(t, "queued", got.Status)
	require.Equal(t, "millrace_ollama_all-minilm_384", got.Collection)
	require.Equal(t, "millrace_hash_words-v1_384", got.From)
	require.Equal(t, 3, got.Total)
	again := move(path, `{"provider":"ollama"}`, "one")
	require.Equal(t, string(a.body), string(again.body))
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, http.StatusConflict, move(path, `{}`, "two").status, "one at a time")
	require.JSONEq(t, string(a.body), string(l.admin(http.MethodGet, a.header.Get("Location"), "").body))
	list := into[struct{ Items []map[string]any }](t, l.admin(http.MethodGet, "/admin/reembeds", ""))
	require.Len(t, list.Items, 1)
	require.Equal(t, 1, l.count(`select count(*) from river_job where kind = 'ingest.reembed'`))

	require.Equal(t, http.StatusUnprocessableEntity, move(path, `{"provider":"openai"}`, "three").status)
	require.Equal(t, http.StatusBadRequest, move(path, `{"model":"x"}`, "four").status)
	require.Equal(t, http.StatusNotFound, move("/admin/workspaces/"+uuid.NewString()+"/reembed", `{}`, "five").status)
	require.Equal(t, http.StatusUnauthorized, l.do(http.MethodPost, path, `{}`, "X-Idempotency-Key", "six").status)
	require.Equal(t, http.StatusNotFound, l.admin(http.MethodGet, "/admin/reembeds/"+uuid.NewString(), "").status)
	require.Equal(t, 1, l.count(`select count(*) from reembeds`))
}
