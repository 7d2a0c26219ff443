package chaos

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// skewEnv names a file that says by how many seconds the clock of a skewed binary is ahead.
const skewEnv = "MILLRACE_CHAOS_SKEW"

// buildSkewed makes the binary with a clock that is off by skewEnv: every time.Now of it, River's and
// the driver's included. Nothing of Millrace knows of it.
func buildSkewed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	require.NoError(t, err)
	const read = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {"
	require.Contains(t, string(source), read, "time.Now is written otherwise in this version of Go")
	skewed := strings.Replace(string(source), read, "	sec, nsec, mono := runtimeNow()\n	sec += chaosSkew()\n	if mono == 0 {", 1) + `
var (
	chaosSkewed  int64
	chaosWatched bool
)

// The time is also read where no file can be, so the file is read beside it.
func chaosSkew() int64 {
	if !chaosWatched {
		chaosWatched = true
		go chaosWatch()
	}
	return chaosSkewed
}

func chaosWatch() {
	name, _ := syscall.Getenv("` + skewEnv + `")
	for ; ; Sleep(50 * Millisecond) {
		file, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var text [16]byte
		length, _ := syscall.Read(file, text[:])
		syscall.Close(file)
		n, sign := int64(0), int64(1)
		for _, c := range text[:max(length, 0)] {
			switch {
			case c == '-':
				sign = -1
			case c >= '0' && c <= '9':
				n = 10*n + int64(c-'0')
			}
		}
		chaosSkewed = sign * n
	}
}
`
	skewed = strings.Replace(skewed, "import (\n", "import (\n	\"syscall\"\n", 1)
	file := filepath.Join(dir, "time.go")
	require.NoError(t, os.WriteFile(file, []byte(skewed), 0o644))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: file}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644))
	binary := filepath.Join(dir, "millrace")
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-ldflags", "-s -w", "-o", binary, "millrace/cmd/millrace").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// Workers whose clocks are two hours ahead and behind work beside one whose clock is right: nothing is
// late, nothing runs twice, schedules hold, and health names both until their clocks are set right, as
// the runbook has it, without a restart.
func TestClocksThatAreHoursOffDelayNothing(t *testing.T) {
	if !full {
		t.Skip("builds every package again; `make chaos` does")
	}
	binary := buildSkewed(t)
	s := newDeployment(t)
	front := s.serve(0)
	space, key := s.tenant("skew")
	d := &submitter{deployment: s, server: front, space: space.ID, key: key}
	d.upload()
	worker := func(skew string) (set func(string)) {
		clock := filepath.Join(t.TempDir(), "ahead"+skew)
		set = func(skew string) { require.NoError(t, os.WriteFile(clock, []byte(skew), 0o644)) }
		set(skew)
		s.run([]string{"DATABASE_URL=" + s.direct, "MILLRACE_SHARD_TIME=100ms", "MILLRACE_LOG=warn", skewEnv + "=" + clock}, binary,
			"worker", "--queues", "trials:1,tunes:1,wfo:1,ingestion:1,retention:1,maintenance:1")
		return set
	}
	worker("0")
	began := time.Now()
	calm, calmWalk := d.tune("calm", 20), d.walkForward("calm")
	d.await(calm)
	d.awaitWalk(calmWalk)
	alone := time.Since(began)

	ahead, behind := worker("7200"), worker("-7200")
	joined := time.Now()
	noticed := time.Duration(-1)
	require.Eventually(t, func() bool {
		if front.health(t) == "degraded" && s.count(`select count(*) from workers where abs(clock_ahead_seconds) > 7000`) == 2 {
			noticed = time.Since(joined)
		}
		return noticed >= 0
	}, 30*time.Second, 50*time.Millisecond, "health does not name the clocks")
	began = time.Now()
	tune, walk := d.tune("skewed", 20), d.walkForward("skewed")
	d.await(tune)
	d.awaitWalk(walk)
	together := time.Since(began)
	// The one whose clock is ahead works alone: what it inserts is worked at once all the same.
	late := s.count(`select count(*) from river_job where scheduled_at > clock_timestamp() + interval '1 minute' or created_at > clock_timestamp() + interval '1 minute'`)
	pruned := s.count(`select count(*) from river_job where kind = 'retention.prune'`)
	ahead("0")
	behind("0")
	setRight := time.Now()
	require.Eventually(t, func() bool { return front.health(t) == "ok" }, 30*time.Second, 50*time.Millisecond, "health names clocks that were set right")
	mended := time.Since(setRight)
	repeated := s.count(`select count(*) from river_job where attempt > 1`)
	report.say("clocks ±2 h: %d jobs scheduled off, %d attempts repeated, %d retention runs off their schedule; a tune and a walk-forward took %s by one worker and %s with the two that are off; health named them within %s, and was ok %s after they were set right",
		late, repeated, pruned, alone.Round(100*time.Millisecond), together.Round(100*time.Millisecond), noticed.Round(10*time.Millisecond), mended.Round(10*time.Millisecond))
	require.Equal(t, d.outcome(calm), d.outcome(tune))
	require.Equal(t, d.found(calmWalk), d.found(walk))
	require.Zero(t, late)
	require.Zero(t, repeated)
}
