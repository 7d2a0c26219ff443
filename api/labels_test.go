package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/store/tenants"
)

// What is named is found by every word of its name, note, tags and what it runs on, in its workspace only.
func TestNamesNotesAndTagsAreKeptAndFound(t *testing.T) {
	r := newFixture(t).withSample()
	submitted := r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "named")
	tune := into[types.Tune](t, submitted)
	at := "/backtests/tunes/" + tune.TuneID + "/label"
	before := into[types.Label](t, r.do(http.MethodGet, at, ""))
	require.Empty(t, before.Name)
	require.Equal(t, []string{}, before.Tags)

	name := `<b>Base</b> "line" ` + strings.Repeat("ü", 180)
	body, err := json.Marshal(types.LabelRequest{Name: name, Note: "before costs\nwere raised", Tags: []string{"spx", " spx ", "keep it"}})
	require.NoError(t, err)
	put := into[types.Label](t, r.do(http.MethodPut, at, string(body)))
	require.Equal(t, name, put.Name)
	require.Equal(t, []string{"spx", "keep it"}, put.Tags)
	require.Equal(t, put, into[types.Label](t, r.do(http.MethodPut, at, string(body))), "repeating it changes nothing")
	require.Equal(t, http.StatusOK, r.do(http.MethodPut, "/datasets/"+into[types.List[types.Dataset]](t, r.do(http.MethodGet, "/datasets", "")).Items[0].DatasetID+"/label", `{"name":"the index"}`).status)

	find := func(query string, headers ...string) []string {
		var ids []string
		for _, l := range into[types.List[types.Label]](t, r.do(http.MethodGet, "/labels?"+query, "", headers...)).Items {
			ids = append(ids, l.Kind)
		}
		return ids
	}
	require.Equal(t, []string{"tune"}, find("q=BASE+costs+sma_cross"))
	require.Equal(t, []string{"tune"}, find("tag=keep%20it"))
	require.Equal(t, []string{"tune"}, find("q="+tune.TuneID[len(tune.TuneID)-8:]))
	require.Equal(t, []string{"tune", "dataset"}, find("q=sp500"))
	require.Equal(t, []string{"dataset"}, find("q=index&kind=dataset"))
	require.Empty(t, find("q=100%25+nothing"))
	require.Equal(t, []string{"tune"}, find("ids="+tune.TuneID))
	require.Empty(t, find("q=BASE", "Authorization", "Bearer "+r.other))

	viewer := r.newKey(r.alpha, tenants.RoleViewer)
	require.Equal(t, http.StatusForbidden, r.do(http.MethodPut, at, `{"name":"x"}`, "Authorization", "Bearer "+viewer).status)
	for path, status := range map[string]int{at: http.StatusNotFound, "/backtests/wfo/" + tune.TuneID + "/label": http.StatusNotFound} {
		require.Equal(t, status, r.do(http.MethodPut, path, `{"name":"x"}`, "Authorization", "Bearer "+r.other).status)
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/backtests/wfo/"+tune.TuneID+"/label", "").status, "it is a tune")
	for body, field := range map[string]string{
		`{"name":"` + strings.Repeat("a", 201) + `"}`: "name", `{"note":"` + strings.Repeat("a", 10_001) + `"}`: "note",
		`{"tags":["a,b"]}`: "tags[0]", `{"tags":[""]}`: "tags[0]", `{"tags":["` + strings.Repeat("a", 51) + `"]}`: "tags[0]",
	} {
		a := r.do(http.MethodPut, at, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, string(a.body))
		require.Contains(t, string(a.body), field)
	}
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/labels?kind=key", "").status)
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, "/labels?ids=x", "").status)
}
