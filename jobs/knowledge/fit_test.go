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
	near, far, some := 0.9, 0.1, 0.3
	hash, unknown, local := Model{Provider: "hash"}, Model{Provider: "openai", Name: "unknown"}, Model{Provider: "local", Name: "all-MiniLM-L6-v2"}
	for _, test := range []struct {
		model  Model
		found  fused
		parts  []float64
		strong bool
	}{
		{hash, fused{covered: 0.5, text: &some}, nil, true},
		{hash, fused{covered: 0.5, text: &far}, nil, false}, // its words are there, and hardly ever
		{hash, fused{covered: 0.2, text: &some, vector: &near}, nil, false},
		{unknown, fused{covered: 0.2, text: &some, vector: &near}, nil, false},
		{local, fused{vector: &near}, nil, true},
		{local, fused{vector: &some}, []float64{0.1, 0.5}, true}, // its best part is about it
		{local, fused{vector: &some}, []float64{0.1, 0.4}, false},
		{local, fused{covered: 0.5, text: &some, vector: &some}, []float64{0.1, 0.4}, true},
		{local, fused{covered: 0.9, text: &near, vector: &far}, nil, false}, // its words mean something else
		{local, fused{covered: 0.5, text: &some}, nil, true},                // not embedded yet
		{hash, fused{covered: 0.5, text: &some, about: &far}, nil, false},   // of its words none is near to the question's
		{hash, fused{covered: 0.3, text: &far, about: &near}, nil, true},
		{hash, fused{about: &near}, nil, true},
	} {
		require.Equal(t, test.strong, fit(test.found, test.model, test.parts, 0) >= StrongMatch, "%v", test)
	}
	// A question whose words the base seldom has is on another subject, though a passage has some of them by chance.
	often, seldom := 0.5, 0.1
	for _, model := range []Model{hash, local} {
		found := fused{covered: 0.5, text: &some, about: &near, familiar: &often}
		if model == local {
			found.about, found.vector = nil, new(float64)
			*found.vector = 0.37
		} else {
			*found.about = 0.5
		}
		require.GreaterOrEqual(t, fit(found, model, nil, 0), StrongMatch, "%v", model)
		found.familiar = &seldom
		require.Less(t, fit(found, model, nil, 0), StrongMatch, "%v", model)
	}
	require.Zero(t, fit(fused{vector: &near, familiar: new(float64)}, hash, nil, 0.9), "what the search by words knows and did not find")
	// Of a passage that the search by words did not find, what it shares with the question.
	require.GreaterOrEqual(t, fit(fused{vector: &near}, hash, nil, 0.43), StrongMatch)
	require.Less(t, fit(fused{vector: &near}, hash, nil, 0.41), StrongMatch)
	require.Greater(t, fit(fused{about: &some}, hash, nil, 0.9), fit(fused{about: &some}, hash, nil, 0.1))
}
