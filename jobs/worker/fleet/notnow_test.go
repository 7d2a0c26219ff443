package fleet

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/workers"
)

func TestAJobWaitsForADatabaseThatSaysNotNow(t *testing.T) {
	full := fmt.Errorf("save: %w", &pgconn.PgError{Code: "53100"})
	cut := fmt.Errorf("save: %w", io.ErrUnexpectedEOF)
	for _, c := range []struct {
		name     string
		err      error
		metadata string
		waits    time.Duration // 0: the error stays what it is
	}{
		{"the disk is full", full, `{}`, 250 * time.Millisecond},
		{"the disk stays full", full, `{"snoozes": 3}`, 2 * time.Second},
		{"the disk is full for hours", full, `{"snoozes": 5000}`, 4 * time.Second},
		{"the connection is lost", cut, `{"snoozes": 99}`, 4 * time.Second},
		{"the connection is lost too often", cut, `{"snoozes": 100}`, 0},
		{"another connection is lost", cut, `{}`, 0},
		{"the job's own error", errors.New("no such strategy"), `{}`, 0},
		{"its attempt was fenced", store.ErrFenced, `{}`, 0},
		{"it waits for something else", river.JobSnooze(time.Hour), `{}`, 0},
		{"it is cancelled", river.JobCancel(full), `{}`, 0},
		{"nothing", nil, `{}`, 0},
	} {
		got := notNow(c.err, &rivertype.JobRow{Metadata: []byte(c.metadata)}, !strings.Contains(c.name, "another"))
		if c.waits == 0 {
			require.Equal(t, c.err, got, c.name)
			continue
		}
		var snooze *river.JobSnoozeError
		require.ErrorAs(t, got, &snooze, c.name)
		require.Equal(t, c.waits, snooze.Duration, c.name)
	}
}

func TestNoHoldRunsOutWhileNoHeartbeatGoesThrough(t *testing.T) {
	h, now := newHeld(), time.Now()
	job := workers.Held{JobID: 1, Attempt: 1}
	h.begin(job, func(error) {})
	h.end(job, now)
	h.extend(now.Add(completionGrace - time.Second))
	_, ended := h.now(now.Add(2 * completionGrace).Add(-2 * time.Second))
	require.Len(t, ended, 1)
	_, ended = h.now(now.Add(2*completionGrace + time.Second))
	require.Empty(t, ended)
}
