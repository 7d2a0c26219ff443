package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/klippa-app/go-pdfium"
	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/ops/routine"
)

// Read reads the text of every page; progress, which may be nil, gets the pages done. A file that is
// encrypted, damaged, or over a bound is a *knowledge.Rejection. When ctx ends, or the time for a file
// is over, the sandbox is killed wherever it is.
func (e *Engine) Read(ctx context.Context, data []byte, progress func(done, pages int)) (extract.PDF, error) {
	if err := e.check(data); err != nil {
		return extract.PDF{}, err
	}
	pool, err := e.start()
	if err != nil {
		return extract.PDF{}, err
	}
	// Waiting for a sandbox is not the file's time.
	sandbox, err := pool.GetInstanceWithContext(ctx)
	if err != nil {
		return extract.PDF{}, fmt.Errorf("get a PDF sandbox: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	killed := make(chan struct{})
	stop := routine.OnDone(limited, func() {
		defer close(killed)
		_ = sandbox.Kill()
	})
	f := file{engine: e, sandbox: sandbox, ctx: limited, progress: progress}
	found, err := f.read(data)
	if stop() {
		_ = sandbox.Close() // frees it; nothing of the file is in it any more
	} else {
		<-killed
	}
	switch {
	case ctx.Err() != nil:
		return extract.PDF{}, ctx.Err()
	case limited.Err() != nil:
		return extract.PDF{}, knowledge.Rejectf("the PDF takes over %s to read: it may be damaged, or made to be slow", e.opts.Timeout)
	}
	return found, err
}

func (e *Engine) check(data []byte) error {
	switch {
	case len(data) == 0:
		return knowledge.Rejectf("the file is empty")
	case len(data) > e.opts.MaxBytes:
		return knowledge.Rejectf("the PDF has %d bytes: the limit is %d", len(data), e.opts.MaxBytes)
	case !bytes.Contains(data[:min(len(data), 1024)], []byte("%PDF-")):
		return knowledge.Rejectf("this is not a PDF file")
	}
	return nil
}

// file is one that is being read.
type file struct {
	engine   *Engine
	sandbox  pdfium.Pdfium
	ctx      context.Context
	progress func(done, pages int)
	doc      references.FPDF_DOCUMENT
	text     int // characters so far
}

func (f *file) read(data []byte) (extract.PDF, error) {
	opened, err := f.sandbox.OpenDocument(&requests.OpenDocument{File: &data})
	if err != nil {
		return extract.PDF{}, refusal(err)
	}
	f.doc = opened.Document
	count, err := f.sandbox.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: f.doc})
	if err != nil {
		return extract.PDF{}, refusal(err)
	}
	if count.PageCount > f.engine.opts.MaxPages {
		return extract.PDF{}, knowledge.Rejectf("the PDF has %d pages: the limit is %d, so split it", count.PageCount, f.engine.opts.MaxPages)
	}
	var found extract.PDF
	f.describe(&found)
	for i := range count.PageCount {
		text, notes, err := f.page(i)
		var rejection *knowledge.Rejection
		switch {
		case f.ctx.Err() != nil:
			return found, f.ctx.Err()
		case errors.As(err, &rejection):
			return found, err
		case err != nil:
			found.Damaged = append(found.Damaged, i+1)
		}
		found.Pages, found.Notes = append(found.Pages, text), append(found.Notes, notes)
		if f.progress != nil {
			f.progress(i+1, count.PageCount)
		}
	}
	if len(found.Damaged) > 0 && len(found.Damaged) == count.PageCount && strings.Join(found.Pages, "") == "" {
		return found, knowledge.Rejectf("the PDF is damaged: none of its pages can be read")
	}
	return found, nil
}

// page reads the text of a page and its notes, and frees what the engine made of it.
func (f *file) page(index int) (text string, notes []string, err error) {
	page, err := f.sandbox.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: f.doc, Index: index})
	if err != nil {
		return "", nil, err
	}
	defer func() { _, _ = f.sandbox.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: page.Page}) }()
	if text, err = f.printed(page.Page); err != nil {
		return "", nil, err
	}
	notes, err = f.notes(page.Page)
	return text, notes, err
}

// printed reads the text of a page's content.
func (f *file) printed(page references.FPDF_PAGE) (string, error) {
	text, err := f.sandbox.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: requests.Page{ByReference: &page}})
	if err != nil {
		return "", err
	}
	defer func() { _, _ = f.sandbox.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: text.TextPage}) }()
	count, err := f.sandbox.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: text.TextPage})
	if err != nil || count.Count <= 0 {
		return "", err
	}
	if f.text += count.Count; f.text > f.engine.opts.MaxText {
		return "", f.tooLong()
	}
	read, err := f.sandbox.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: text.TextPage, Count: count.Count})
	if err != nil {
		return "", err
	}
	return strings.TrimRight(read.Text, "\x00"), nil
}

func (f *file) tooLong() error {
	return knowledge.Rejectf("the PDF has over %d characters of text, so split it", f.engine.opts.MaxText)
}

// describe reads what the file says about itself; much of it is missing or wrong in most files.
func (f *file) describe(found *extract.PDF) {
	tags := []string{"Title", "Author", "CreationDate"}
	meta, err := f.sandbox.GetMetaData(&requests.GetMetaData{Document: f.doc, Tags: &tags})
	if err != nil {
		return
	}
	for _, tag := range meta.Tags {
		switch tag.Tag {
		case "Title":
			found.Title = tag.Value
		case "Author":
			found.Author = tag.Value
		case "CreationDate":
			// D:20240203100000+02'00'; the day is enough.
			if digits := strings.TrimPrefix(tag.Value, "D:"); len(digits) >= 8 {
				if at, err := time.Parse("20060102", digits[:8]); err == nil && at.Year() > 1900 {
					found.CreatedAt = &at
				}
			}
		}
	}
}

// refusal says why a file could not be opened.
func refusal(err error) error {
	switch {
	case errors.Is(err, pdfiumerrors.ErrPassword):
		return knowledge.Rejectf("the PDF is encrypted: remove its password first")
	case errors.Is(err, pdfiumerrors.ErrSecurity):
		return knowledge.Rejectf("the PDF is encrypted in a way that cannot be read")
	}
	return knowledge.Rejectf("the PDF is damaged: it cannot be opened")
}
