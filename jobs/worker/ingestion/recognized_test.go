package ingestion_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/store/library"
)

// reader recognises the same text in every file.
type reader struct {
	made   []byte
	err    error
	closed chan struct{}
}

func (r *reader) Recognize(_ context.Context, source func(io.Writer) error) (knowledge.Recognized, error) {
	if err := source(io.Discard); err != nil {
		return nil, err
	}
	return r, r.err
}

func (r *reader) Size() int64 { return int64(len(r.made)) }

func (r *reader) Copy(to io.Writer) error {
	_, err := to.Write(r.made)
	return err
}

func (r *reader) Close() error {
	close(r.closed)
	return nil
}

func TestAScannedFileIsReadByTextRecognition(t *testing.T) {
	r := newFixture(t)
	recognizer := &reader{made: pdftest.Text("A scan about the half-life of a spread."), closed: make(chan struct{})}
	r.opts.Recognizer = recognizer
	r.work()
	scan := library.NewIngest{SourceType: knowledge.SourcePDF, Name: "scan.pdf"}
	done := r.until(r.submit(scan, pdftest.Text("", "", "")).ID, library.IngestCompleted)
	<-recognizer.closed
	doc, err := r.store.Library.Document(t.Context(), r.space.ID, done.DocumentID)
	require.NoError(t, err)
	require.Equal(t, true, doc.Metadata["recognized"])
	_, chunks, err := r.store.Library.DocumentChunks(t.Context(), r.space.ID, doc.ID, 0, 10)
	require.NoError(t, err)
	require.Len(t, chunks, 1)
	require.Contains(t, chunks[0].Text, "half-life of a spread")

	// A file that has text does not go through it.
	recognizer.err = errors.New("not called")
	done = r.until(r.submit(library.NewIngest{SourceType: knowledge.SourcePDF, Name: "text.pdf"}, pdftest.Text("A file that has its own text.")).ID, library.IngestCompleted)
	doc, err = r.store.Library.Document(t.Context(), r.space.ID, done.DocumentID)
	require.NoError(t, err)
	require.NotContains(t, doc.Metadata, "recognized")
}

func TestAScanWithoutRecognisableTextIsRefusedWithTheReason(t *testing.T) {
	r := newFixture(t)
	r.opts.Recognizer = &reader{err: knowledge.Rejectf("text recognition ended with status 4")}
	r.work()
	failed := r.until(r.submit(library.NewIngest{SourceType: knowledge.SourcePDF, Name: "scan.pdf"}, pdftest.Unmapped("Nobody reads this line.")).ID, library.IngestFailed)
	require.Contains(t, *failed.Reason, "status 4")
}
