package knowledge

import (
	"context"
	"hash/fnv"
	"io"
	"math"
)

const hashDimensions = 384

// pairWeight is what a pair of neighbouring words counts beside a single word. A pair is rarer, so
// a match of one says more; but a text has few pairs in common with a question, so it adds no more.
const pairWeight = 0.7

// HashEmbedder is the embedder that is always there: it needs no network and no model. It hashes
// the words of a text and their pairs into a vector (feature hashing, Weinberger et al. 2009, with
// signs and square roots of counts), so it is lexical: it finds texts that share words with a
// question, not meaning. The same text gives the same bits on every machine.
type HashEmbedder struct{}

// Model implements Embedder.
func (HashEmbedder) Model() Model {
	return Model{Provider: "hash", Name: "words-v1", Dimensions: hashDimensions}
}

// Embed implements Embedder.
func (HashEmbedder) Embed(ctx context.Context, _ Use, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, AsFault("embedder hash", err)
		}
		vectors[i] = hashVector(words(text))
	}
	return vectors, nil
}

// feature is a word or a pair of neighbours, hashed.
type feature struct {
	hash uint64
	pair bool
}

func hashVector(words []string) []float32 {
	counts := map[feature]int{}
	for i, word := range words {
		counts[feature{featureHash(word), false}]++
		if i > 0 {
			counts[feature{featureHash(words[i-1] + " " + word), true}]++
		}
	}
	var sums [hashDimensions]float64
	for f, n := range counts {
		value := math.Sqrt(float64(n))
		if f.pair {
			value *= pairWeight
		}
		if f.hash&1 == 1 {
			value = -value
		}
		// A sum of floats depends on its order, and a map has none; a sum of whole numbers does not.
		sums[f.hash>>1%hashDimensions] += math.Round(value * (1 << 20))
	}
	if sums == [hashDimensions]float64{} {
		sums[0] = 1 // there is no direction of nothing, and every vector has a length
	}
	return Normalized(sums[:])
}

func featureHash(feature string) uint64 {
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, feature) // a hash never fails
	return mix(hash.Sum64())
}

// mix spreads FNV's weak low bits (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Normalized is the vector at Euclidean length 1, or as it is when its length is zero or not
// finite.
func Normalized[F float32 | float64](v []F) []float32 {
	var square float64
	for _, x := range v {
		square += float64(float64(x) * float64(x))
	}
	scale := 1 / math.Sqrt(square)
	if square == 0 || math.IsInf(square, 0) || math.IsNaN(square) {
		scale = 1
	}
	unit := make([]float32, len(v))
	for i, x := range v {
		unit[i] = float32(float64(x) * scale)
	}
	return unit
}
