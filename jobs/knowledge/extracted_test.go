package knowledge

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Decomposed letters and syllables are words that no question has.
func TestCleanTextIsComposed(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Gebühren für Übernacht", Clean("Gebu\u0308hren fu\u0308r U\u0308bernacht"))
	require.Equal(t, "수수료", Clean("\u1109\u116e\u1109\u116e\u1105\u116d"))
	e := &Extracted{Title: "Gebu\u0308hren", Blocks: []Block{{Text: "Sie sind ho\u0308her.", Position: Position{Heading: "Ho\u0308he"}}}}
	e.Tidy()
	require.Equal(t, "Gebühren", e.Title)
	require.Equal(t, Block{Text: "Sie sind höher.", Position: Position{Heading: "Höhe"}}, e.Blocks[0])
	require.Equal(t, "x² ﬁ ½", Clean("x² ﬁ ½"), "what only looks alike stays as it is written")
}
