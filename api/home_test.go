package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store/tenants"
)

// A person sees on the home page what runs in the workspace of the key, and nothing of the fleet's load: neither
// how many workers and slots there are nor how many jobs they run for others.
func TestThePageOfAWorkspaceShowsNothingOfTheFleetsLoad(t *testing.T) {
	r := newFixture(t)
	r.exec(`with made as (
			insert into river_job (kind, args, queue, max_attempts, attempt, state, attempted_at)
			select 'tune.shard', jsonb_build_object('workspace_id', w), 'trials', 3, 1, 'running', now()
			  from unnest(array[$1, $2, $2]::text[]) w returning id)
		insert into workers (id, host, pid, version, queues, running)
		select 'w', 'host-of-the-fleet', 4711, '1', '{"trials": 37}', array_agg(id) from made`, r.alpha.ID.String(), r.beta.ID.String())
	home := func(token string) string {
		a := r.with(r.signIn(token), http.MethodGet, "/admin", "", "Accept", "text/html")
		require.Equal(t, http.StatusOK, a.status)
		return string(a.body)
	}
	for _, role := range tenants.Roles() {
		page := home(r.newKey(r.alpha, role))
		for _, fleets := range []string{"Workers alive", "Trial slots", "host-of-the-fleet", "3 jobs"} {
			require.NotContains(t, page, fleets, "%s sees the fleet's load", role)
		}
		require.Contains(t, page, "<dt>Running jobs</dt><dd>1</dd>")
	}
	page := home(adminToken)
	require.Contains(t, page, "host-of-the-fleet")
	require.Contains(t, page, "<dt>Trial slots</dt><dd>37 <small>3 jobs running</small></dd>")
}
