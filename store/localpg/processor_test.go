package localpg_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/store/localpg"
)

// The time of a session counts while it lives and once it has ended.
func TestProcessorTimeIsThatOfLivingAndEndedSessions(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc here, and ProcessorTime is an error")
	}
	cluster, err := localpg.Start(t.Context(), localpg.Options{DataDir: folder(t), Throwaway: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop(context.Background())) })
	const work = `select sum(i) from generate_series(1, 2000000) i`
	before, err := cluster.ProcessorTime()
	require.NoError(t, err)
	require.Positive(t, query[int64](t, cluster.URL(), work))
	require.Eventually(t, func() bool { // once the server has waited for the session's process
		after, err := cluster.ProcessorTime()
		return err == nil && after > before
	}, 10*time.Second, 10*time.Millisecond)
}
