package knowledge

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFitIsCalibrated(t *testing.T) {
	t.Parallel()
	require.Zero(t, calibrated(0, 0.42))
	require.Equal(t, StrongMatch, calibrated(0.42, 0.42))
	require.InDelta(t, 1, calibrated(1, 0.42), 1e-12)
	require.InDelta(t, StrongMatch/2, calibrated(0.21, 0.42), 1e-12)
	require.Less(t, calibrated(0.41, 0.42), StrongMatch)
	near, far := 0.9, 0.1
	for _, test := range []struct {
		model  Model
		found  fused
		strong bool
	}{
		{Model{Provider: "hash"}, fused{covered: 0.5}, true},
		{Model{Provider: "hash"}, fused{covered: 0.3, vector: &near}, false},
		{Model{Provider: "openai", Name: "unknown"}, fused{covered: 0.3, vector: &near}, false},
		{Model{Provider: "local", Name: "all-MiniLM-L6-v2"}, fused{covered: 0, vector: &near}, true},
		{Model{Provider: "local", Name: "all-MiniLM-L6-v2"}, fused{covered: 0.1, vector: &far}, false},
	} {
		require.Equal(t, test.strong, fit(test.found, test.model) >= StrongMatch, "%v", test)
	}
}
