package knowledge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"millrace/ops/routine"

	"github.com/google/uuid"
)

// Bounds of a question.
const (
	MaxQuestion = 2000 // characters
	MaxTopK     = 50
	DefaultTopK = 8
)

const (
	legLimit   = 100 // hits that each leg gives at least
	rerankPool = 30  // passages that a reranker judges
)

// Question is what is put to the knowledge base.
type Question struct {
	Text   string
	TopK   int
	Filter Filter
	Rerank bool
	// WordsOnly leaves the vectors out: BM25 alone, which the search is measured against.
	WordsOnly bool
}

// Found is what was found for a question.
type Found struct {
	Matches []Match
	Model   Model
	// Lacking names what the search had to do without, as in "embedder_timeout"; empty when nothing.
	Lacking []string
	// Best is how well the best match fits, from 0 to 1, see Match.Fit.
	Best    float64
	Timings Timings
}

// Degraded reports whether the search is a lesser one than was asked for.
func (f *Found) Degraded() bool { return len(f.Lacking) > 0 }

// Judged reports whether the search had all that says how well its matches fit. A reranker only orders them.
func (f *Found) Judged() bool {
	return !slices.ContainsFunc(f.Lacking, func(what string) bool { return !strings.HasPrefix(what, "reranker_") })
}

// Covered reports whether a passage is about the question, as Cover judges it.
func (f *Found) Covered() bool { return !Cover(len(f.Matches), f.BestFit()).Weak }

// BestFit is the highest fit of the matches, 0 when there are none.
func (f *Found) BestFit() float64 {
	best := 0.0
	for _, m := range f.Matches {
		best = max(best, m.Fit)
	}
	return best
}

// Match is a passage that was found.
type Match struct {
	Passage
	Score float64 // of the fusion or, when they were reranked, of the reranker
	// Fit is from 0 to 1, and StrongMatch from where the passage is about the question, see fit.
	Fit         float64
	VectorScore *float64 // cosine similarity of the passage's best part, or of the passage; nil: not among the nearest
	TextScore   *float64 // BM25 from 0 to 1; nil: not among the best
	RerankScore *float64
	Parts       []float64 // cosine similarity of each of the passage's parts; nil: not compared
}

// Timings are how long the parts of a question took.
type Timings struct {
	Embed, Vector, Text, Rerank, Total time.Duration
}

// Search finds passages: the nearest vectors and the best full-text matches, fused by weighted scores
// and, when asked for, reranked. What fails but Postgres itself is done without, and reported.
func (b *Base) Search(ctx context.Context, workspace uuid.UUID, q Question) (*Found, error) {
	start := time.Now()
	placement, err := b.texts.Placement(ctx, workspace, b.embedders[0].Model())
	if err != nil {
		return nil, err
	}
	found := &Found{Model: placement.Model}
	legs, err := b.legs(ctx, workspace, placement, q, found)
	if err != nil {
		return nil, err
	}
	ranked := fuse(legs.near, legs.worded, vectorShare(placement.Model, true))
	refined, err := b.refine(ctx, workspace, placement, legs, ranked)
	if err != nil {
		return nil, err
	}
	ranked = fuse(refined.near, legs.worded, vectorShare(placement.Model, refined.inParts))
	var known map[uuid.UUID]Passage
	if rereads(placement.Model) && !q.WordsOnly {
		if known, ranked, err = b.reread(ctx, workspace, q.Text, placement.Model, ranked, refined.parts); err != nil {
			return nil, err
		}
	}
	pool := q.TopK
	if q.Rerank {
		pool = max(pool, rerankPool)
	}
	if found.Matches, err = b.read(ctx, workspace, ranked, known, refined.parts, pool, q.Text, placement.Model); err != nil {
		return nil, err
	}
	if q.Rerank {
		if err := b.rerank(ctx, q.Text, found); err != nil {
			return nil, err
		}
	}
	found.Matches = found.Matches[:min(q.TopK, len(found.Matches))]
	found.Best = found.BestFit()
	found.Timings.Total = time.Since(start)
	return found, nil
}

// legs are what the two searches found.
type legs struct {
	vector []float32 // of the question; nil without an embedder
	near   []Hit
	worded []WordHit
}

// legs runs the vector search beside the full-text search. A failure of the first is noted.
func (b *Base) legs(ctx context.Context, workspace uuid.UUID, placement Placement, q Question, found *Found) (l legs, err error) {
	limit := max(legLimit, 2*q.TopK)
	var group routine.Group
	var lacking string
	if !q.WordsOnly {
		group.Run(func() error {
			l.vector, l.near, lacking = b.nearest(ctx, workspace, placement, q, limit, &found.Timings)
			return nil
		})
	}
	start := time.Now()
	worded, err := b.texts.MatchText(ctx, workspace, q.Text, q.Filter, limit)
	found.Timings.Text = time.Since(start)
	err = errors.Join(err, group.Wait())
	l.worded = worded
	if err == nil && lacking == "" && !q.WordsOnly {
		var missing bool
		if missing, err = b.vectorsMissing(ctx, workspace, l, q.Filter, limit); missing {
			lacking = "vectors_missing"
		}
	}
	if lacking != "" {
		found.Lacking = append(found.Lacking, lacking)
	}
	return l, errors.Join(err, ctx.Err())
}

// vectorsMissing reports whether chunks have no vector, as after their collection was dropped: a search for vectors that found
// fewer than it was to found all there are, and most of what the words found is not among them. One chunk that was
// ingested between the two searches says nothing.
func (b *Base) vectorsMissing(ctx context.Context, workspace uuid.UUID, l legs, filter Filter, limit int) (bool, error) {
	if len(l.near) >= limit {
		return false, nil
	}
	if len(l.near) == 0 && len(l.worded) == 0 {
		return b.texts.HasChunks(ctx, workspace, filter)
	}
	there := make(map[uuid.UUID]bool, len(l.near))
	for _, hit := range l.near {
		there[hit.Chunk] = true
	}
	absent := 0
	for _, hit := range l.worded {
		if !there[hit.Chunk] {
			absent++
		}
	}
	return 2*absent > len(l.worded), nil
}

// nearest is the vector leg. lacking is not empty when there is none.
func (b *Base) nearest(ctx context.Context, workspace uuid.UUID, placement Placement, q Question, limit int, took *Timings) (vector []float32, hits []Hit, lacking string) {
	start := time.Now()
	vector, err := b.embed(ctx, placement.Model, q.Text)
	took.Embed = time.Since(start)
	if err != nil {
		return nil, nil, "embedder_" + string(AsFault("embedder", err).Kind)
	}
	start = time.Now()
	hits, err = b.index.Search(ctx, Scope{workspace, placement.Collection}, vector, q.Filter, limit)
	took.Vector = time.Since(start)
	if err != nil {
		return nil, nil, "vectors_" + string(AsFault("vector index", err).Kind)
	}
	return vector, hits, ""
}

func (b *Base) embed(ctx context.Context, model Model, text string) ([]float32, error) {
	embedder, err := b.embedders.For(model)
	if err != nil {
		return nil, err
	}
	vectors, err := embedder.Embed(ctx, ForQuery, []string{text})
	if err != nil {
		return nil, err
	}
	return vectors[0], nil
}

// read reads the passages of the best until there are enough. A chunk without a row belongs to a
// revision that is not there yet or not any more; a lexical vector that shares no word with the
// question is near by accident. Of copies the best is enough: more would push other passages out. known are passages that
// were read already.
func (b *Base) read(ctx context.Context, workspace uuid.UUID, ranked []fused, known map[uuid.UUID]Passage, parts map[uuid.UUID][]float64, enough int, question string, model Model) ([]Match, error) {
	asked, seen := newWordSet(question), map[string]bool{}
	matches := []Match{}
	for len(ranked) > 0 && len(matches) < enough {
		part := ranked[:min(len(ranked), max(enough, rereadLimit))]
		ranked = ranked[len(part):]
		byID, err := b.passages(ctx, workspace, part, known)
		if err != nil {
			return nil, err
		}
		for _, f := range part {
			if len(matches) == enough {
				break
			}
			p, ok := byID[f.chunk]
			if !ok || seen[p.Text] {
				continue
			}
			seen[p.Text] = true
			m := Match{Passage: p, Score: f.score, VectorScore: f.vector, TextScore: f.text, Parts: parts[f.chunk]}
			shared := 0.0
			if f.text == nil && model.Lexical() {
				if shared = asked.share(p.Title + "\n" + p.Position.Heading + "\n" + p.Text); shared == 0 {
					continue
				}
			}
			m.Fit = fit(f, model, m.Parts, shared)
			matches = append(matches, m)
		}
	}
	return matches, nil
}

// rerank reorders the matches by the reranker's judgement. When it fails their order stays.
func (b *Base) rerank(ctx context.Context, question string, found *Found) error {
	if b.reranker == nil {
		found.Lacking = append(found.Lacking, "reranker_"+string(FaultUnconfigured))
		return nil
	}
	if len(found.Matches) == 0 {
		return nil
	}
	texts := make([]string, len(found.Matches))
	for i, m := range found.Matches {
		texts[i] = m.Text
	}
	start := time.Now()
	scores, err := b.reranker.Rerank(ctx, question, texts)
	found.Timings.Rerank = time.Since(start)
	if err == nil && len(scores) != len(texts) {
		err = &Fault{Kind: FaultProvider, Part: "reranker"}
	}
	if err != nil {
		found.Lacking = append(found.Lacking, "reranker_"+string(AsFault("reranker", err).Kind))
		return ctx.Err()
	}
	for i := range found.Matches {
		found.Matches[i].Score, found.Matches[i].RerankScore = scores[i], &scores[i]
	}
	slices.SortStableFunc(found.Matches, func(a, b Match) int { return cmp.Compare(b.Score, a.Score) })
	return nil
}
