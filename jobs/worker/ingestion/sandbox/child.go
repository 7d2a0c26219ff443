package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/jobs/worker/ingestion/pdf"
	"millrace/jobs/worker/ingestion/pinedoc"
	"millrace/ops/routine"
)

// Verb is the argument by which the program is such a child.
const Verb = "extract-child"

// IsChild reports whether a process with these arguments is a child.
func IsChild(args []string) bool { return len(args) > 1 && args[1] == Verb }

// Main is the child: it serves requests from its standard input until that ends, and returns the exit
// status.
func Main() int {
	in, out := bufio.NewReaderSize(os.Stdin, 64<<10), bufio.NewWriterSize(os.Stdout, 64<<10)
	c := &child{in: in, out: out}
	if err := c.serve(); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "extract:", err)
		return 1
	}
	return 0
}

type child struct {
	in      *bufio.Reader
	out     *bufio.Writer
	set     settings
	engine  *pdf.Engine
	chunker *knowledge.Chunker
}

func (c *child) serve() error {
	kind, payload, err := readFrame(c.in)
	if err != nil {
		return err
	}
	if kind != frameSettings {
		return fmt.Errorf("frame %q comes before the settings", kind)
	}
	if err := json.Unmarshal(payload, &c.set); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	if err := confine(c.set.MemoryBytes); err != nil {
		return fmt.Errorf("set the limits: %w", err)
	}
	debug.SetMemoryLimit(c.set.MemoryBytes / 2) // collect hard long before the kernel refuses
	debug.SetMaxStack(64 << 20)
	endAtCPULimit()
	endWithParent()
	c.engine = pdf.New(pdf.Options{
		CacheDir: c.set.CacheDir, Sandboxes: 1, MaxPages: c.set.MaxPages, Timeout: c.set.Timeout,
		MemoryMB: int(c.set.MemoryBytes >> 20 / 2),
	})
	if c.chunker, err = knowledge.NewChunker(); err != nil {
		return err
	}
	for {
		if err := c.next(); err != nil {
			return err
		}
	}
}

// next serves one request. An error ends the child; those of the file are answered.
func (c *child) next() error {
	kind, payload, err := readFrame(c.in)
	if err != nil {
		return err
	}
	var req Request
	if kind != frameRequest {
		return fmt.Errorf("frame %q is not a request", kind)
	}
	if err := json.Unmarshal(payload, &req); err != nil {
		return fmt.Errorf("read a request: %w", err)
	}
	if err := limitCPU(c.set.CPU); err != nil {
		return fmt.Errorf("limit processor time: %w", err)
	}
	data, err := c.source(req.Size)
	if err != nil {
		return err
	}
	var result *Result
	failed := routine.Do(func() (err error) { result, err = c.extract(req, data); return err })
	var rejection *knowledge.Rejection
	switch {
	case errors.As(failed, &rejection):
		kind := byte(frameRejected)
		if rejection.Textless {
			kind = frameTextless
		}
		err = writeFrame(c.out, kind, []byte(rejection.Reason))
	case failed != nil:
		text := failed.Error()
		err = writeFrame(c.out, frameError, []byte(text[:min(len(text), 16<<10)]))
	default:
		err = c.answer(result)
	}
	return errors.Join(err, c.out.Flush())
}

// source reads the parts of the file, which is expected to have about so many bytes.
func (c *child) source(size int64) ([]byte, error) {
	data := make([]byte, 0, max(0, min(size, 128<<20)))
	for {
		kind, part, err := readFrame(c.in)
		if err != nil {
			return nil, err
		}
		if kind != frameData {
			return nil, fmt.Errorf("frame %q stands in a source", kind)
		}
		if len(part) == 0 {
			return data, nil
		}
		data = append(data, part...)
	}
}

func (c *child) answer(result *Result) error {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	result.Heavy = memory.Sys > uint64(c.set.MemoryBytes)/3
	for _, chunk := range result.Chunks {
		result.Bytes += int64(len(chunk.Text)) + 200
	}
	if result.Dataset != nil {
		result.Bytes += int64(len(result.Dataset.Encoded))
	}
	if err := writeJSON(c.out, frameHeader, result); err != nil {
		return err
	}
	const batch = 256 << 10 // bytes of text; escaped as JSON it may be six times as long
	for start, size, end := 0, 0, 0; start < len(result.Chunks); start, size = end, 0 {
		for end = start; end < len(result.Chunks) && (end == start || size < batch); end++ {
			size += len(result.Chunks[end].Text)
		}
		if err := writeJSON(c.out, frameChunks, result.Chunks[start:end]); err != nil {
			return err
		}
	}
	if result.Dataset != nil {
		if _, err := (dataWriter{c.out}).Write(result.Dataset.Encoded); err != nil {
			return err
		}
	}
	return writeFrame(c.out, frameEnd, nil)
}

func (c *child) extract(req Request, data []byte) (*Result, error) {
	if len(data) == 0 {
		return nil, knowledge.Rejectf("the source is empty")
	}
	ctx := context.Background() // the parent's limits end what takes too long
	switch req.Want {
	case WantVideo:
		video, err := extract.VideoPage(data)
		return &Result{Video: &video}, err
	case WantDataset:
		return c.dataset(req, data)
	}
	extracted, err := c.text(ctx, req, data)
	if err != nil {
		return nil, err
	}
	for key, value := range req.About {
		extracted.Metadata[key] = value
	}
	if req.Title != "" {
		extracted.Title = req.Title
	}
	if req.Author != "" {
		extracted.Author = req.Author
	}
	return Cut(ctx, c.chunker, extracted, req)
}

// Cut makes chunks of extracted text, none when its sum is the known one.
func Cut(ctx context.Context, chunker *knowledge.Chunker, extracted *knowledge.Extracted, req Request) (*Result, error) {
	extracted.Title, extracted.Author = knowledge.Line(extracted.Title, 300), knowledge.Line(extracted.Author, 200)
	sum, err := extracted.Sum(knowledge.ChunkVersion)
	if err != nil {
		return nil, err
	}
	result := &Result{
		Title: extracted.Title, Author: extracted.Author, PublishedAt: extracted.PublishedAt, Metadata: extracted.Metadata,
		Sum: sum[:], Unchanged: bytes.Equal(sum[:], req.Known),
	}
	if result.Unchanged {
		return result, nil
	}
	if extracted.Size() > mostText(req.MaxChunks) {
		return nil, tooLong(req.MaxChunks)
	}
	if result.Chunks, err = chunker.Chunks(ctx, req.Document, extracted); err != nil {
		return nil, err
	}
	if len(result.Chunks) > req.MaxChunks {
		return nil, tooLong(req.MaxChunks)
	}
	return result, nil
}

// mostText is more bytes of text than so many chunks can hold.
func mostText(chunks int) int {
	const perChunk = 2 << 10 // bytes of text, roughly
	return 2 * perChunk * chunks
}

func tooLong(chunks int) error {
	return knowledge.Rejectf("the text makes over %d chunks of %d tokens: split it", chunks, knowledge.ChunkTokens)
}

// text makes text of the source, in the way of its type.
func (c *child) text(ctx context.Context, req Request, data []byte) (*knowledge.Extracted, error) {
	switch req.Source {
	case knowledge.SourcePDF:
		found, err := c.engine.Read(ctx, data, c.progress())
		if err != nil {
			return nil, err
		}
		return extract.Pages(found, req.Name)
	case knowledge.SourceArticle:
		return extract.Article(data, req.ContentType, req.Address)
	case knowledge.SourceYouTube:
		return extract.Transcript(data, req.Name)
	case knowledge.SourcePine:
		return extract.Pine(data, req.Name, pinedoc.Read)
	case knowledge.SourceText:
		if len(data) > mostText(req.MaxChunks) {
			return nil, tooLong(req.MaxChunks)
		}
		return extract.Text(data, req.Name)
	}
	return nil, fmt.Errorf("source type %q has no extractor", req.Source)
}

// progress reports the pages done, a few times a second.
func (c *child) progress() func(done, total int) {
	var last time.Time
	return func(done, total int) {
		if time.Since(last) < 100*time.Millisecond {
			return
		}
		last = time.Now()
		if writeJSON(c.out, frameProgress, progress{done, total}) == nil {
			_ = c.out.Flush() // a parent that is gone ends this process another way
		}
	}
}

// dataset encodes the bars as they are stored, and describes them.
func (c *child) dataset(req Request, data []byte) (*Result, error) {
	stated, ok := backtest.ParseTimeframe(req.Timeframe)
	if !ok && req.Timeframe != "" {
		return nil, knowledge.Rejectf("timeframe %q is unknown: choose from %v", req.Timeframe, backtest.Timeframes())
	}
	bars, reading, err := pricefile.ReadBytes(data, pricefile.Options{Timeframe: stated, Now: time.Now()})
	if err != nil {
		var asked *pricefile.QuestionError
		if errors.As(err, &asked) {
			return nil, knowledge.Rejectf("this set of bars leaves a question open; upload it as a dataset with the option that answers it: %v", err)
		}
		return nil, knowledge.Rejectf("this is not a valid set of bars: %v", err)
	}
	made := &Dataset{Bars: bars.Len(), Symbol: req.Symbol, Timeframe: string(reading.Timeframe)}
	made.Instrument, made.Calendar, reading.Guesses = bars.Describe(backtest.Instrument{}, backtest.Calendar(req.Calendar))
	if made.Reading, err = json.Marshal(reading); err != nil {
		return nil, fmt.Errorf("encode the reading: %w", err)
	}
	if made.Encoded, err = ohlcv.Encode(bars); err != nil {
		return nil, err
	}
	digest := ohlcv.NewDigest()
	digest.Append(bars)
	sum := digest.Sum()
	made.SHA256 = sum[:]
	if made.SumState, err = digest.State(); err != nil {
		return nil, err
	}
	made.From, made.To = time.UnixMicro(bars.Time[0]).UTC(), time.UnixMicro(bars.Time[bars.Len()-1]).UTC()
	made.Described = *extract.Bars(req.Name, made.Symbol, made.Timeframe, bars)
	return &Result{Dataset: made}, nil
}

// DatasetName is the name of a file's dataset when none is given; "" when the file has none either.
func DatasetName(file string) string {
	name := knowledge.Line(strings.TrimSuffix(path.Base(file), path.Ext(file)), 100)
	if name == "." || name == "/" {
		return ""
	}
	return name
}

// endWithParent ends the process when its parent is gone.
func endWithParent() {
	parent := os.Getppid()
	routine.Go(func() error {
		for os.Getppid() == parent {
			time.Sleep(time.Second)
		}
		os.Exit(1)
		return nil
	}, func(error) {})
}
