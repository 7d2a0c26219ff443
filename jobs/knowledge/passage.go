package knowledge

// Passage is a chunk with what a citation of it shows.
type Passage struct {
	Chunk
	SourceType SourceType
	Title      string
	URL        string // canonical
}
