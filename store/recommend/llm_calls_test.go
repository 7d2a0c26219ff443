package recommend_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store/storetest"
)

func TestLLMCallsAreCountedByTheMinute(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	for range 3 {
		require.NoError(t, d.Store.Recommend.RecordLLMCall(t.Context(), "openai", "m", ""))
	}
	require.NoError(t, d.Store.Recommend.RecordLLMCall(t.Context(), "openai", "m", knowledge.ReasonTimeout))
	_, err := d.Owner.Exec(t.Context(), `
		insert into llm_minutes (minute, provider, model, reason_code, calls, last_at)
		values (now() - interval '8 days', 'old', 'm', '', 1, now()), (now() - interval '2 hours', 'openai', 'm', '', 10, now())`)
	require.NoError(t, err)
	require.NoError(t, d.Store.Recommend.RecordLLMCall(t.Context(), "none", "none", knowledge.ReasonUnconfigured)) // a new row clears old ones
	calls, err := d.Store.Recommend.LLMCalls(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	found := map[string]int{}
	for _, c := range calls {
		found[c.Provider+" "+string(c.Reason)] += c.Calls
	}
	require.Equal(t, map[string]int{"openai ": 3, "openai llm_timeout": 1, "none llm_unconfigured": 1}, found)
	all, err := d.Store.Recommend.LLMCalls(t.Context(), time.Now().Add(-30*24*time.Hour))
	require.NoError(t, err)
	for _, c := range all {
		require.NotEqual(t, "old", c.Provider)
	}
}
