package console

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnEventLinksToThePageOfWhatItIsAbout(t *testing.T) {
	t.Parallel()
	for kind, at := range map[string]string{
		"backtest.tune.completed": "/admin/tunes/x", "wfo.run.running": "/admin/wfo/x", "wfo.fold.completed": "/admin/wfo/x",
		"backtest.run_plan.progress": "/admin/plans/x", "backtest.strategy.ready": "/admin/strategies/x",
		"backtest.tune.deleted": "", "ingestion.job.queued": "", "jobs.completed": "",
	} {
		require.Equal(t, at, Event{Type: kind, EntityID: "x"}.Href(), kind)
	}
}
