package vector_test

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/lexicon"
	"millrace/store/library"
	"millrace/store/vector"
)

const (
	benchChunks = 250_000
	benchTexts  = 5000 // that differ; each is there 50 times, under as many ids and near-by vectors
)

// vocabulary are words whose frequencies follow Zipf's law, as those of language do.
type vocabulary struct {
	words []string
	zipf  *rand.Zipf
}

func newVocabulary(r *rand.Rand) vocabulary {
	v := vocabulary{zipf: rand.NewZipf(r, 1.1, 8, 29_999)}
	for i := range 30_000 {
		word := ""
		for n := i + 27; n > 0; n /= 26 {
			word += string(rune('a'+n%26)) + string("aeiou"[n%5])
		}
		v.words = append(v.words, word)
	}
	return v
}

func (v vocabulary) text(n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = v.words[v.zipf.Uint64()]
	}
	return strings.Join(words, " ")
}

// fill puts 250,000 chunks of 300 words into a shelf, with their vectors, which it returns.
func (s *shelf) fill(b *testing.B, r *rand.Rand, v vocabulary) map[uuid.UUID]knowledge.Point {
	b.Helper()
	owner, points := s.db.OwnerPool(b), map[uuid.UUID]knowledge.Point{}
	document := uuid.New()
	_, err := owner.Exec(b.Context(), `
		insert into documents (id, workspace_id, source_type, canonical_url, title, revision, chunks)
		values ($1, $2, 'text', 'text:bench', '', 1, $3)`, document, s.scope.Workspace, benchChunks)
	require.NoError(b, err)
	for start := 0; start < benchTexts; start += 500 {
		texts, ids := make([]string, 500), []uuid.UUID{}
		for i := range texts {
			texts[i] = v.text(300)
		}
		vectors, err := knowledge.HashEmbedder{}.Embed(b.Context(), knowledge.ForDocument, texts)
		require.NoError(b, err)
		parts := partsOf(b, texts)
		var batch []knowledge.Point
		var held [][]byte // parts of the batch's chunks
		for range benchChunks / benchTexts {
			for i := range texts {
				near := slices.Clone(vectors[i])
				for range 8 {
					near[r.IntN(len(near))] += 0.05 * float32(r.NormFloat64())
				}
				p := knowledge.Point{Chunk: uuid.New(), Document: document, SourceType: "text", Vector: knowledge.Normalized(near)}
				ids, batch, points[p.Chunk], held = append(ids, p.Chunk), append(batch, p), p, append(held, parts[i])
			}
		}
		_, err = owner.Exec(b.Context(), `
			with t as materialized (select n - 1 as n, text, setweight(to_tsvector('english', text), 'D') s from unnest($3::text[]) with ordinality t (text, n))
			insert into chunks (id, workspace_id, document_id, revision, idx, text, tokens, search)
			select c.id, $1, $2, 1, $5::int + c.n, t.text, 400, t.s from unnest($4::uuid[]) with ordinality c (id, n) join t on t.n = (c.n - 1) % 500`,
			s.scope.Workspace, document, texts, ids, start*benchChunks/benchTexts)
		require.NoError(b, err)
		for at := 0; at < len(ids); at += 2500 {
			s.putParts(b, ids[at:at+2500], held[at:at+2500])
		}
		for part := range slices.Chunk(batch, 500) {
			// On a crowded machine a transaction may be ended meanwhile: a worker comes again, too.
			for try := 1; ; try++ {
				err := s.index.Upsert(b.Context(), s.scope, part)
				if err == nil {
					break
				}
				require.Less(b, try, 5, "%v", err)
			}
		}
	}
	for _, table := range []string{"chunks", "chunk_parts", "vectors"} {
		_, err = owner.Exec(b.Context(), `vacuum analyze `+table)
		require.NoError(b, err)
	}
	return points
}

// partsOf are the vectors of the parts of texts, as an ingestion packs them.
func partsOf(b *testing.B, texts []string) []knowledge.PartVectors {
	b.Helper()
	chunks := make([]knowledge.Chunk, len(texts))
	for i, text := range texts {
		chunks[i].Text = text
	}
	embedded, err := knowledge.EmbedChunks(b.Context(), inParts{}, make([]string, len(texts)), chunks)
	require.NoError(b, err)
	parts := make([]knowledge.PartVectors, len(texts))
	for i, e := range embedded {
		parts[i] = e.Parts
	}
	return parts
}

// inParts stands for a model that carries meaning: chunks are read in parts, and questions by a real one where there is one.
type inParts struct{ questions knowledge.Embedder }

func (inParts) Model() knowledge.Model {
	return knowledge.Model{Provider: "local", Name: "all-MiniLM-L6-v2", Dimensions: 384}
}

func (e inParts) Embed(ctx context.Context, use knowledge.Use, texts []string) ([][]float32, error) {
	if use == knowledge.ForQuery && e.questions != nil {
		return e.questions.Embed(ctx, use, texts)
	}
	return knowledge.HashEmbedder{}.Embed(ctx, use, texts)
}

// placed has the workspace's chunks as those of another model, in the same collection.
type placed struct {
	knowledge.Texts
	at knowledge.Placement
}

func (p placed) Placement(context.Context, uuid.UUID, knowledge.Model) (knowledge.Placement, error) {
	return p.at, nil
}

// reading is a base that compares the shelf's chunks by their parts.
func (s *shelf) reading(b *testing.B) *knowledge.Base {
	b.Helper()
	e := inParts{questions: localModel(b)}
	words, err := lexicon.Open()
	require.NoError(b, err)
	base, err := knowledge.NewBase(knowledge.Parts{
		Texts:  placed{s.store.Library, knowledge.Placement{Model: e.Model(), Collection: s.scope.Collection}},
		Trials: s.store.Recommend, Embedders: knowledge.Embedders{e}, Index: s.index, LLM: s.llm, Lexicon: words,
	})
	require.NoError(b, err)
	return base
}

// report runs fn over and over and reports the times of a call: how long it took, and this process's processor time,
// which depends less on what else the machine does. That of Postgres is not in it.
func report(b *testing.B, fn func() error) {
	b.Helper()
	var took []time.Duration
	before := processorTime(b)
	for b.Loop() {
		start := time.Now()
		if err := fn(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(len(took)), "cpu-ms/op")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// processorTime is what the process has used on all cores.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkKnowledge measures the embedded index and the hybrid query at 250,000 chunks of 384
// dimensions: reading the copy, its memory, a search by a lexical and by a dense vector, the whole
// query, and recall against brute force in double precision.
func BenchmarkKnowledge(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	s, v := newShelf(b), newVocabulary(r)
	start := time.Now()
	points := s.fill(b, r, v)
	written := time.Since(start).Round(time.Millisecond)
	question := func() string { return v.text(6) }
	lexical := func() []float32 {
		vectors, _ := knowledge.HashEmbedder{}.Embed(b.Context(), knowledge.ForQuery, []string{question()})
		return vectors[0]
	}
	dense := func() []float32 { return knowledge.Normalized(direction(r, 384)) }
	search := func(index knowledge.VectorIndex, query []float32) ([]knowledge.Hit, error) {
		return index.Search(b.Context(), s.scope, query, knowledge.Filter{}, 10)
	}

	b.Run("read-words", func(b *testing.B) {
		b.Logf("timed: the words of %d chunks of 300 words from Postgres into memory; MB is what they take there", benchChunks)
		var before, after runtime.MemStats
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			fresh := library.New(s.store.DB)
			if _, err := fresh.MatchText(b.Context(), s.scope.Workspace, question(), knowledge.Filter{}, 10); err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(fresh)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
	})
	b.Run("read", func(b *testing.B) {
		b.Logf("timed: %d vectors of 384 dimensions from Postgres into memory; MB is what they take there (chunks and vectors were written in %s)", benchChunks, written)
		var before, after runtime.MemStats
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			fresh := vector.NewEmbedded(s.store.Pool(), s.store.Workspaces(), 1<<30)
			if _, err := search(fresh, lexical()); err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(fresh)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
	})
	// The first of each reads: vectors into memory, and how frequent words are.
	_, err := search(s.index, lexical())
	require.NoError(b, err)
	_, err = s.base.Search(b.Context(), s.scope.Workspace, knowledge.Question{Text: question(), TopK: 8})
	require.NoError(b, err)
	b.Run("words", func(b *testing.B) {
		b.Log("timed: the hundred best of a question of six words by BM25")
		report(b, func() error {
			_, err := s.store.Library.MatchText(b.Context(), s.scope.Workspace, question(), knowledge.Filter{}, 100)
			return err
		})
	})
	for name, query := range map[string]func() []float32{"search-lexical": lexical, "search-dense": dense} {
		b.Run(name, func(b *testing.B) {
			b.Log("timed: the ten nearest of one vector")
			report(b, func() error { _, err := search(s.index, query()); return err })
		})
	}
	b.Run("query", func(b *testing.B) {
		b.Log("timed: a question of six words, embedded, searched by vector and full text, fused, and its passages read")
		report(b, func() error {
			_, err := s.base.Search(b.Context(), s.scope.Workspace, knowledge.Question{Text: question(), TopK: 8})
			return err
		})
	})
	reading := s.reading(b)
	b.Run("query-in-parts", func(b *testing.B) {
		b.Log("timed: as query, by a model that carries meaning (that of EMBEDDER_TEST_FILE where it is set): the best hundred are compared by their parts and the best twenty read; MB is what Postgres keeps of parts")
		report(b, func() error {
			_, err := reading.Search(b.Context(), s.scope.Workspace, knowledge.Question{Text: question(), TopK: 8})
			return err
		})
		var bytes int64
		require.NoError(b, s.db.OwnerPool(b).QueryRow(b.Context(), `select pg_total_relation_size('chunk_parts')`).Scan(&bytes))
		b.ReportMetric(float64(bytes)/1e6, "MB")
	})
	b.Run("recall", func(b *testing.B) {
		b.Log("compared with brute force in double precision")
		var kept, wanted float64
		for b.Loop() {
			query := dense()
			hits, err := search(s.index, query)
			require.NoError(b, err)
			best := brute(points, query, knowledge.Filter{}, 10)
			for _, w := range best {
				wanted++
				// Two in single precision may change places with the eleventh.
				if slices.ContainsFunc(hits, func(h knowledge.Hit) bool { return h.Chunk == w.Chunk }) ||
					math.Abs(w.Score-hits[len(hits)-1].Score) < 1e-6 {
					kept++
				}
			}
		}
		b.ReportMetric(kept/wanted, "recall@10")
	})
}

// BenchmarkRetrieval reports how good searches are, not how fast.
func BenchmarkRetrieval(b *testing.B) {
	lexical, near, hybrid := quality(b)
	b.ReportMetric(0, "ns/op") // nothing is timed
	b.ReportMetric(lexical, "ndcg@10-text")
	b.ReportMetric(near, "ndcg@10-vector")
	b.ReportMetric(hybrid, "ndcg@10-hybrid")
}
