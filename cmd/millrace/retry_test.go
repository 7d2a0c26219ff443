package main

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/client"
	"millrace/api/types"
)

// An id is looked for among all kinds. What the one that has it answers is shown, also when it refuses.
func TestTheKindThatHasTheIDAnswers(t *testing.T) {
	t.Parallel()
	answered := func(status int) *client.Error { return &client.Error{ProblemError: types.ProblemError{Status: status}} }
	missing, refuses := answered(http.StatusNotFound), answered(http.StatusConflict)
	kind := func(line string, err error) func() (string, error) {
		return func() (string, error) { return line, err }
	}
	line, err := ofAnyKind(kind("", missing), kind("a walk-forward", nil), kind("another", nil))
	require.NoError(t, err)
	require.Equal(t, "a walk-forward", line)
	_, err = ofAnyKind(kind("", missing), kind("", refuses), kind("another", nil))
	require.ErrorIs(t, err, error(refuses))
	first := answered(http.StatusNotFound)
	_, err = ofAnyKind(kind("", first), kind("", missing))
	require.True(t, errors.Is(err, error(first)), "%v", err)
}
