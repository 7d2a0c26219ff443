package ops_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops"
)

func fixed(name string, status ops.Status) ops.Check {
	return ops.Check{Name: name, Run: func(context.Context) ops.Report { return ops.Report{Status: status} }}
}

func TestOverallStatusIsTheWorst(t *testing.T) {
	for _, test := range []struct {
		want ops.Status
		of   []ops.Status
	}{
		{ops.StatusOK, []ops.Status{ops.StatusOK, ops.StatusOK}},
		{ops.StatusUnknown, []ops.Status{ops.StatusOK, ops.StatusUnknown}},
		{ops.StatusDegraded, []ops.Status{ops.StatusUnknown, ops.StatusDegraded, ops.StatusOK}},
		{ops.StatusError, []ops.Status{ops.StatusError, ops.StatusDegraded, ops.StatusUnknown}},
	} {
		var checks []ops.Check
		for _, status := range test.of {
			checks = append(checks, fixed("c", status))
		}
		require.Equal(t, test.want, ops.NewHealth(time.Second, checks...).Look(t.Context()).Status)
	}
}

// A check that ignores its context is an error in time, and hangs once, not once a request.
func TestHangingCheckBecomesAnErrorAtItsDeadline(t *testing.T) {
	release := make(chan struct{})
	var started atomic.Int32
	health := ops.NewHealth(50*time.Millisecond, fixed("fine", ops.StatusOK), ops.Check{Name: "stuck", Run: func(context.Context) ops.Report {
		started.Add(1)
		<-release
		return ops.Report{Status: ops.StatusOK, Summary: "back"}
	}})
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			began := time.Now()
			overview := health.Look(t.Context())
			if overview.Status != ops.StatusError || overview.Components[0].Status != ops.StatusOK || overview.Components[1].Status != ops.StatusError {
				t.Errorf("%+v", overview)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, started.Load())
	close(release)
	require.Eventually(t, func() bool { return health.Look(t.Context()).Status == ops.StatusOK }, 5*time.Second, time.Millisecond)
}

func TestFailedCheckIsNeverOK(t *testing.T) {
	overview := ops.NewHealth(time.Second,
		ops.Check{Name: "panics", Run: func(context.Context) ops.Report { panic("broken") }},
		ops.Check{Name: "silent", Run: func(context.Context) ops.Report { return ops.Report{} }},
	).Look(t.Context())
	require.Equal(t, ops.StatusError, overview.Components[0].Status)
	require.Contains(t, overview.Components[0].Summary, "broken")
	require.Equal(t, ops.StatusUnknown, overview.Components[1].Status)
}

func TestWorstFindingIsReported(t *testing.T) {
	var r ops.Report
	r.Raise(ops.StatusOK, "all well", "")
	r.Raise(ops.StatusDegraded, "slow", "look")
	r.Raise(ops.StatusError, "gone", "run")
	r.Raise(ops.StatusDegraded, "slow again", "look")
	require.Equal(t, ops.Report{Status: ops.StatusError, Summary: "gone", Advice: "run"}, r)
}
