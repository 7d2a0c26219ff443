package fleet

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRiversNewsIsForDebugging(t *testing.T) {
	for level, wanted := range map[slog.Level][]string{
		slog.LevelInfo:  {"level=WARN msg=slow client=a"},
		slog.LevelDebug: {"level=DEBUG msg=counts client=a", "level=WARN msg=slow client=a"},
	} {
		var out bytes.Buffer
		log := slog.New(quieted{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})}).With("client", "a")
		log.Info("counts")
		log.Warn("slow")
		require.Equal(t, len(wanted), bytes.Count(out.Bytes(), []byte("\n")), out.String())
		for _, line := range wanted {
			require.Contains(t, out.String(), line)
		}
	}
}
