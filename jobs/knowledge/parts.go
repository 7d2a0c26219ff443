package knowledge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
)

// A chunk is read in parts that overlap: one vector of a whole chunk is a mean of what it says, and hides the sentence
// that answers. A part is compared as it is, and the mean of all beside it, so that what stands around the part counts too.
const (
	partWords  = 48
	partStride = 36
	meanShare  = 0.6
	// mostParts bounds what is kept of a chunk. A chunk of 512 tokens has about ten.
	mostParts = 64
)

// InParts reports whether chunks are embedded part by part. Lexical vectors of short texts are hardly ever alike.
func (m Model) InParts() bool { return !m.Lexical() }

// Embedded is what is kept of a chunk: the vector that an index finds it by, and those of its parts.
type Embedded struct {
	Vector []float32
	Parts  PartVectors // nil of a model that does not read in parts
}

// EmbedChunks embeds the chunks of documents of those titles. The vector of a chunk that is read in parts is the mean of
// theirs. Parts are of the text alone: title and heading would make all parts of a document alike, and are found by their words.
func EmbedChunks(ctx context.Context, e Embedder, titles []string, chunks []Chunk) ([]Embedded, error) {
	var texts []string
	ends := make([]int, len(chunks)) // of each chunk's texts
	for i, c := range chunks {
		if e.Model().InParts() {
			texts = append(texts, parts(c.Text)...)
		} else {
			texts = append(texts, c.EmbedText(titles[i]))
		}
		ends[i] = len(texts)
	}
	vectors, err := e.Embed(ctx, ForDocument, texts)
	if err != nil {
		return nil, err
	}
	if len(vectors) != len(texts) {
		return nil, &Fault{Kind: FaultProvider, Part: "embedder " + e.Model().Provider, Err: fmt.Errorf("%d vectors for %d texts", len(vectors), len(texts))}
	}
	made, start := make([]Embedded, len(chunks)), 0
	for i, end := range ends {
		made[i].Vector = vectors[start]
		if e.Model().InParts() {
			made[i].Vector = meanOf(vectors[start:end])
			made[i].Parts = packParts(vectors[start:end])
		}
		start = end
	}
	return made, nil
}

// parts are the windows of words of a text, one at least. They are cut from it as it is.
func parts(text string) []string {
	starts := wordStarts(text)
	var cut []string
	for at := 0; ; at += partStride {
		if at+partWords >= len(starts) || len(cut) == mostParts-1 {
			from := 0
			if at < len(starts) {
				from = starts[at]
			}
			return append(cut, text[from:])
		}
		cut = append(cut, strings.TrimRightFunc(text[starts[at]:starts[at+partWords]], unicode.IsSpace))
	}
}

// A long run of characters counts as several words of so many: in a script without spaces, and in any other, as an address.
const (
	unspacedWord = 4
	longWord     = 24
)

// wordStarts is where each word of a text begins.
func wordStarts(text string) []int {
	var starts []int
	at := 0
	for field := range strings.FieldsSeq(text) {
		at += strings.Index(text[at:], field)
		most := longWord
		if Unspaced(field) {
			most = unspacedWord
		}
		n := 0
		for i := range field {
			if n%most == 0 {
				starts = append(starts, at+i)
			}
			n++
		}
		at += len(field)
	}
	return starts
}

// meanOf is the mean of vectors, at length 1.
func meanOf(vectors [][]float32) []float32 {
	if len(vectors) == 1 {
		return vectors[0]
	}
	sum := make([]float64, len(vectors[0]))
	for _, v := range vectors {
		for d, x := range v {
			sum[d] += float64(x)
		}
	}
	return Normalized(sum)
}

// PartVectors are the vectors of a chunk's parts at eight bits a dimension. First come partsForm and the length of the mean
// of the vectors, a float32; then for each part its scale, a float32, and the bytes that times the scale are the vector: all
// little endian.
type PartVectors []byte

// partsForm names the form, so that another can come.
const partsForm = 1

const (
	partsHead  = 1 + 4
	scaleBytes = 4
)

func packParts(vectors [][]float32) PartVectors {
	packed := append(make(PartVectors, 0, partsHead+len(vectors)*(scaleBytes+len(vectors[0]))), partsForm)
	packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(meanLength(vectors)))
	for _, v := range vectors {
		var most float32
		for _, x := range v {
			most = max(most, float32(math.Abs(float64(x))))
		}
		scale := most / math.MaxInt8
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(scale))
		for _, x := range v {
			step := 0.0
			if scale > 0 {
				step = math.Round(float64(x) / float64(scale))
			}
			packed = append(packed, byte(int8(max(-math.MaxInt8, min(math.MaxInt8, step)))))
		}
	}
	return packed
}

// meanLength is the Euclidean length of the mean of vectors.
func meanLength(vectors [][]float32) float32 {
	var square float64
	for d := range vectors[0] {
		var sum float64
		for _, v := range vectors {
			sum += float64(v[d])
		}
		square += float64(sum * sum)
	}
	return float32(math.Sqrt(square) / float64(len(vectors)))
}

var errParts = errors.New("the parts of a chunk are not in a form that is known")

// asked is a question's vector at sixteen bits a dimension. Sums of whole numbers are the same on every machine.
type asked struct {
	scale float64
	steps []int16
}

func newAsked(vector []float32) asked {
	var most float64
	for _, x := range vector {
		most = max(most, math.Abs(float64(x)))
	}
	a := asked{scale: most / math.MaxInt16, steps: make([]int16, len(vector))}
	if most > 0 {
		for d, x := range vector {
			a.steps[d] = int16(math.Round(float64(x) / a.scale))
		}
	}
	return a
}

// similarity is how near a chunk is to the question: the cosine of its best part, and of the mean of all. parts are the
// cosines of each.
func (a asked) similarity(p PartVectors) (found float64, parts []float64, err error) {
	size := scaleBytes + len(a.steps)
	if len(p) < partsHead+size || p[0] != partsForm || (len(p)-partsHead)%size != 0 {
		return 0, nil, errParts
	}
	best, total := math.Inf(-1), 0.0
	for rest := p[partsHead:]; len(rest) > 0; rest = rest[size:] {
		var sum int64
		for d, step := range rest[scaleBytes:size] {
			sum += int64(int8(step)) * int64(a.steps[d])
		}
		cosine := float64(float64(float64(sum)*float64(float32At(rest))) * a.scale) // rounded before it is added
		best, total, parts = max(best, cosine), total+cosine, append(parts, cosine)
	}
	mean := total / float64(len(parts)) / float64(float32At(p[1:]))
	found = float64(meanShare*mean) + float64((1-meanShare)*best)
	if math.IsNaN(found) || math.IsInf(found, 0) {
		return 0, nil, errParts
	}
	return min(1, max(-1, found)), parts, nil
}

func float32At(raw []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(raw)) }
