package bm25

import (
	"encoding/binary"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
)

// Word is a word of a chunk with how often it occurs.
type Word struct {
	Text string
	// Head counts it in title and heading, Body in the text.
	Head, Body int
}

// Index is the inverted index of one workspace. Searches may run side by side; changes may not, and
// neither may a change beside a search.
type Index struct {
	chunks    []chunk
	documents map[uuid.UUID]int32 // number of a live document
	docs      []document
	words     map[string]int32
	lists     []list
	size      int64 // bytes of the lists
	live      int   // chunks
	dead      int
	head      int64 // words of live chunks in titles and headings
	body      int64 // and in texts
}

type chunk struct {
	id         uuid.UUID
	document   int32
	head, body uint16 // lengths in words
}

type document struct {
	id     uuid.UUID
	source knowledge.SourceType
	chunks []int32 // numbers
	gone   bool
}

// list is where a word occurs: for each chunk, in ascending order, the difference to the one before
// times two, plus one when it occurs otherwise than once in the text alone; then its two counts follow.
type list struct {
	places []byte
	last   int32 // chunk
	n      int32 // chunks, those that are gone included
}

// New makes an empty index.
func New() *Index {
	return &Index{documents: map[uuid.UUID]int32{}, words: map[string]int32{}}
}

// Chunks is how many chunks there are.
func (x *Index) Chunks() int { return x.live }

// Documents calls see with each document.
func (x *Index) Documents(see func(id uuid.UUID)) {
	for id := range x.documents {
		see(id)
	}
}

// Add puts a chunk of a document in. A word must not come twice.
func (x *Index) Add(doc uuid.UUID, source knowledge.SourceType, id uuid.UUID, words []Word) {
	d, known := x.documents[doc]
	if !known {
		d = int32(len(x.docs))
		x.docs = append(x.docs, document{id: doc, source: source})
		x.documents[doc] = d
	}
	n := int32(len(x.chunks))
	var head, body int
	for _, w := range words {
		x.put(w, n)
		head, body = head+w.Head, body+w.Body
	}
	c := chunk{id, d, length(head), length(body)}
	x.chunks = append(x.chunks, c)
	x.docs[d].chunks = append(x.docs[d].chunks, n)
	x.count(c, 1)
	x.live++
}

func length(words int) uint16 { return uint16(min(words, 1<<16-1)) }

func (x *Index) count(c chunk, sign int64) {
	x.head += sign * int64(c.head)
	x.body += sign * int64(c.body)
}

func (x *Index) put(w Word, n int32) {
	number, known := x.words[w.Text]
	if !known {
		number = int32(len(x.lists))
		x.words[w.Text] = number
		x.lists = append(x.lists, list{last: -1})
	}
	l := &x.lists[number]
	before := cap(l.places)
	l.add(n, w.Head, w.Body)
	x.size += int64(cap(l.places) - before)
}

const mostCounted = 255 // occurrences of a word: BM25 hardly distinguishes more

func (l *list) add(n int32, head, body int) {
	step := uint64(n-l.last) << 1
	if head == 0 && body == 1 {
		l.places = binary.AppendUvarint(l.places, step)
	} else {
		l.places = binary.AppendUvarint(l.places, step|1)
		l.places = append(l.places, byte(min(head, mostCounted)), byte(min(body, mostCounted)))
	}
	l.last = n
	l.n++
}

// each calls see with every place of the list.
func (l *list) each(see func(n int32, head, body uint8)) {
	n := int32(-1)
	for places := l.places; len(places) > 0; {
		// Most steps are of one byte.
		step, size := uint64(places[0]), 1
		if step >= 0x80 {
			step, size = binary.Uvarint(places)
		}
		places = places[size:]
		n += int32(step >> 1)
		if step&1 == 0 {
			see(n, 0, 1)
			continue
		}
		see(n, places[0], places[1])
		places = places[2:]
	}
}

// Remove takes a document out with all its chunks. One that is not there is none.
func (x *Index) Remove(doc uuid.UUID) {
	d, known := x.documents[doc]
	if !known {
		return
	}
	delete(x.documents, doc)
	x.docs[d].gone = true
	for _, n := range x.docs[d].chunks {
		x.count(x.chunks[n], -1)
	}
	x.live -= len(x.docs[d].chunks)
	x.dead += len(x.docs[d].chunks)
}

// Tidy clears away what is gone, once that is a quarter of all.
func (x *Index) Tidy() {
	if x.dead <= (x.live+x.dead)/4 {
		return
	}
	x.compact()
}

// Trim gives back the memory that lists keep for what may come, after many additions.
func (x *Index) Trim() {
	var size int64
	for _, l := range x.lists {
		size += int64(len(l.places))
	}
	if x.size <= size+size/4 {
		return
	}
	all := make([]byte, 0, size) // one allocation for all lists
	for i := range x.lists {
		start := len(all)
		all = append(all, x.lists[i].places...)
		x.lists[i].places = all[start:len(all):len(all)]
	}
	x.size = size
}

// compact numbers the live chunks and documents from 0 and writes every list again.
func (x *Index) compact() {
	fresh := New()
	renumbered := make([]int32, len(x.chunks))
	for n, c := range x.chunks {
		renumbered[n] = -1
		old := x.docs[c.document]
		if old.gone {
			continue
		}
		d, known := fresh.documents[old.id]
		if !known {
			d = int32(len(fresh.docs))
			fresh.docs = append(fresh.docs, document{id: old.id, source: old.source})
			fresh.documents[old.id] = d
		}
		renumbered[n] = int32(len(fresh.chunks))
		c.document = d
		fresh.docs[d].chunks = append(fresh.docs[d].chunks, renumbered[n])
		fresh.chunks = append(fresh.chunks, c)
		fresh.count(c, 1)
	}
	fresh.live = len(fresh.chunks)
	for text, number := range x.words {
		kept := list{last: -1}
		x.lists[number].each(func(n int32, head, body uint8) {
			if renumbered[n] >= 0 {
				kept.add(renumbered[n], int(head), int(body))
			}
		})
		if len(kept.places) > 0 {
			fresh.words[text] = int32(len(fresh.lists))
			fresh.lists = append(fresh.lists, kept)
			fresh.size += int64(cap(kept.places))
		}
	}
	*x = *fresh
}

// Bytes is about how much memory the index takes.
func (x *Index) Bytes() int64 {
	const (
		perChunk    = 24 + 4 // and its number in its document
		perWord     = 32 + 64
		perDocument = 64 + 48
	)
	return x.size + int64(cap(x.chunks))*perChunk + int64(len(x.lists))*perWord + int64(len(x.docs))*perDocument
}
