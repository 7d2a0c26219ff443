package api

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"millrace/jobs/knowledge/extract"
)

// The prefixes of the URL of a document that was sent and not fetched.
const (
	uploadScheme = "upload:"
	textScheme   = "text:"
)

// canonical is the URL of the document, by which it is known: where it is from, or the source that the
// sender names. What is sent without either is known by its name and content: sent again it is the same
// document, and a different content under the same name is another document, never a replacement.
func (sent *sentSource) canonical() string {
	switch {
	case sent.URL != "":
		return extract.CanonicalURL(sent.URL)
	case strings.HasPrefix(sent.Source, uploadScheme), strings.HasPrefix(sent.Source, textScheme):
		return sent.Source
	case sent.Source != "":
		return uploadScheme + sent.Source
	}
	sum := sent.sum
	if sum == nil {
		of := sha256.Sum256([]byte(sent.Text))
		sum = of[:]
	}
	content := hex.EncodeToString(sum[:16])
	switch {
	case sent.Name != "":
		return uploadScheme + sent.Name + "#" + content
	case sent.Title != "":
		return textScheme + sent.Title + "#" + content
	}
	return textScheme + content
}
