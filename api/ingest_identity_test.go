package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is sent is known by its name and content, or by the source that its sender names: a document is
// replaced by that only.
func TestTwoFilesOfTheSameNameAreTwoDocuments(t *testing.T) {
	l := newLibrary(t)
	l.ingesting()
	keys := 0
	key := func() string { keys++; return string(rune('a' + keys)) }
	file := func(content string, fields ...string) ingestAnswer {
		t.Helper()
		return l.ended(l.send("/ingest", key(), "readme.md", []byte(content), fields...))
	}
	first := file("Turtles buy breakouts.")
	second := file("Pairs come back to their mean.")
	require.Equal(t, "created", second.Outcome)
	require.NotEqual(t, first.DocumentID, second.DocumentID, "a document was overwritten by another of the same file name")
	again := file("Turtles buy breakouts.")
	require.Equal(t, "unchanged", again.Outcome)
	require.Equal(t, first.DocumentID, again.DocumentID)

	named := file("Turtles buy breakouts.", "source", "docs/readme.md")
	require.Equal(t, "created", named.Outcome)
	replaced := file("Turtles sell lows.", "source", "docs/readme.md")
	require.Equal(t, "replaced", replaced.Outcome)
	require.Equal(t, named.DocumentID, replaced.DocumentID)

	// Any document that was sent is replaced by naming its url; those of versions before have no content in it.
	url := into[struct{ URL string }](t, l.do(http.MethodGet, "/documents/"+second.DocumentID, "")).URL
	require.Equal(t, second.DocumentID, file("Pairs diverge, too.", "source", url).DocumentID)
	old := file("Of an older version.", "source", "old.md")
	require.Equal(t, "upload:old.md", into[struct{ URL string }](t, l.do(http.MethodGet, "/documents/"+old.DocumentID, "")).URL)
	require.Equal(t, old.DocumentID, file("Of this version.", "source", "upload:old.md").DocumentID)

	text := func(body string) ingestAnswer {
		t.Helper()
		return l.ended(l.do(http.MethodPost, "/ingest", body, "X-Idempotency-Key", key()))
	}
	one := text(`{"text":"Carry pays while prices stay.","title":"Notes"}`)
	two := text(`{"text":"Momentum persists.","title":"Notes"}`)
	require.NotEqual(t, one.DocumentID, two.DocumentID)
	require.Equal(t, "unchanged", text(`{"text":"Momentum persists.","title":"Notes"}`).Outcome)
	mine := text(`{"text":"Value reverts.","title":"Notes","source":"notes"}`)
	require.Equal(t, mine.DocumentID, text(`{"text":"Value is slow.","title":"Notes","source":"notes"}`).DocumentID)

	a := l.do(http.MethodPost, "/ingest", `{"url":"https://example.com/a","source":"a"}`, "X-Idempotency-Key", key())
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Contains(t, string(a.body), `"field":"source"`)
}
