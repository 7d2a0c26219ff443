package provider_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
)

// A key that a provider repeats is taken out wherever its words are cut off.
func TestNoPartOfAKeyIsQuoted(t *testing.T) {
	for before := 250; before <= 310; before++ {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, strings.Repeat("x", before)+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), http.StatusUnauthorized)
		}))
		e, err := provider.NewOpenAIEmbedder(provider.EmbedderOptions{
			Endpoint: provider.Endpoint{URL: server.URL, APIKey: providertest.Key, Model: "test"}, Dimensions: 8,
		})
		require.NoError(t, err)
		_, err = e.Embed(t.Context(), knowledge.ForQuery, []string{"x"})
		server.Close()
		require.ErrorContains(t, err, "xxxx")
		require.NotContains(t, err.Error(), providertest.Key[:4], "after %d characters", before)
	}
}
