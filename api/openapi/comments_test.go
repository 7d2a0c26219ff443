package openapi_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"millrace/api/openapi"
)

func TestCommentsOfTypesAndMembers(t *testing.T) {
	t.Parallel()
	comments, err := openapi.Comments(fstest.MapFS{"a.go": {Data: []byte(`package a

// T is a thing
// of two lines.
type T struct {
	// Above is above.
	Above int
	Beside, Both int // beside
	None int
}
`)}, "b.txt": {Data: []byte("no Go")}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"T": "T is a thing of two lines.", "T.Above": "Above is above.", "T.Beside": "beside", "T.Both": "beside"}, comments)
	_, err = openapi.Comments(fstest.MapFS{"a.go": {Data: []byte("no Go")}})
	require.Error(t, err)
}
