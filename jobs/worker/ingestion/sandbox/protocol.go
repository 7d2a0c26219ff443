package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"millrace/jobs/backtest"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
)

// Parent and child exchange frames: a kind, a length of four bytes, a payload.
const (
	frameSettings = 's' // first frame to a child
	frameRequest  = 'r' // to a child, followed by the source
	frameData     = 'd' // a part of the source, or of an encoded dataset; an empty one ends it
	frameProgress = 'p'
	frameHeader   = 'h' // the result without its chunks and bars
	frameChunks   = 'c'
	frameEnd      = 'e'
	frameRejected = 'j' // a knowledge.Rejection: its reason
	frameTextless = 't' // one of a file whose text has to be recognised: its reason
	frameError    = 'x' // an error of ours: its text
)

// maxFrame bounds what is held for one frame.
const maxFrame = 4 << 20

// settings are what a child is started with.
type settings struct {
	MemoryBytes int64
	CPU         time.Duration // of one file
	CacheDir    string
	MaxPages    int
	Timeout     time.Duration // of a PDF
}

// What is asked of a child.
const (
	WantDocument = "document" // text, cut into chunks
	WantDataset  = "dataset"  // bars, encoded, and their description
	WantVideo    = "video"    // what the page of a video says
)

// Request is one file to extract.
type Request struct {
	Want        string
	Source      knowledge.SourceType
	Name        string // of the file
	Size        int64  // of the file, about; 0: unknown
	ContentType string
	Address     string // it was fetched from

	// What is known beside the content, which stands before what the file says of itself.
	Title, Author string
	About         map[string]any

	Document  uuid.UUID // that the chunks belong to
	Known     []byte    // sum of the document's present text; the same again is cut into nothing
	MaxChunks int

	Symbol, Timeframe string // of a dataset
	Calendar          int    // of a dataset; 0: found in the bars
}

// Result is what was extracted.
type Result struct {
	Title       string
	Author      string
	PublishedAt *time.Time
	Metadata    map[string]any
	Sum         []byte            // of all that would be stored, see knowledge.Extracted.Sum
	Unchanged   bool              // Sum is the known one
	Chunks      []knowledge.Chunk `json:"-"`
	Dataset     *Dataset
	Video       *extract.Video

	Bytes   int64 // of the chunks' text and of the encoded bars
	Heavy   bool  // the child has grown and is not used again
	release func()
}

// Dataset is bars as the store keeps them.
type Dataset struct {
	Encoded           []byte `json:"-"`
	Bars              int
	From, To          time.Time
	SHA256, SumState  []byte // of the bars, and from what the hash continues
	Symbol, Timeframe string
	Calendar          backtest.Calendar
	Instrument        backtest.Instrument
	Reading           json.RawMessage     // what the file was taken for
	Described         knowledge.Extracted // under the dataset's name
}

// Release gives back the memory budget of the result. Call it when the chunks are no longer needed.
func (r *Result) Release() {
	if r != nil && r.release != nil {
		r.release()
	}
}

type progress struct{ Done, Total int }

func writeFrame(w io.Writer, kind byte, payload []byte) error {
	head := [5]byte{kind}
	binary.LittleEndian.PutUint32(head[1:], uint32(len(payload)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	if len(payload) == 0 {
		return nil
	}
	_, err := w.Write(payload)
	return err
}

func writeJSON(w io.Writer, kind byte, value any) error {
	payload, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode frame %c: %w", kind, err)
	}
	if len(payload) > maxFrame {
		return fmt.Errorf("frame %c has %d bytes: the limit is %d", kind, len(payload), maxFrame)
	}
	return writeFrame(w, kind, payload)
}

func readFrame(r io.Reader) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.LittleEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, fmt.Errorf("frame %q has %d bytes: the limit is %d", head[0], size, maxFrame)
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	return head[0], payload, nil
}

// dataWriter writes what it gets as data frames.
type dataWriter struct{ to io.Writer }

// Write implements io.Writer.
func (d dataWriter) Write(data []byte) (int, error) {
	written := 0
	for len(data) > 0 {
		part := data[:min(len(data), 1<<20)]
		if err := writeFrame(d.to, frameData, part); err != nil {
			return written, err
		}
		written, data = written+len(part), data[len(part):]
	}
	return written, nil
}
