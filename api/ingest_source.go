package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/store/library"
	"millrace/store/stores"
)

// sentSource is a request to ingest as it was read. A file has gone into the database while it came
// in, so that none is ever held in memory.
type sentSource struct {
	types.IngestRequest
	upload      uuid.UUID // of the file; uuid.Nil: none was sent
	hasFile     bool
	size        int64
	sum         []byte // SHA-256 of the file
	head        []byte // how the file begins
	contentType string // as the file's part was called
}

const (
	headBytes     = 64 << 10 // of a file, to recognise its type
	maxName       = 255
	maxSourceName = 1000
	textFields    = 4 << 10 // of a form's part that is not the file
)

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// readIngest reads JSON or a form. What it returns beside an error may hold an upload to drop.
func (s *Server) readIngest(c echo.Context) (*sentSource, error) {
	req := c.Request()
	sent := &sentSource{}
	kind, _, _ := mime.ParseMediaType(req.Header.Get(echo.HeaderContentType))
	if kind == echo.MIMEMultipartForm {
		parts, err := req.MultipartReader()
		if err != nil {
			return nil, unreadForm()
		}
		return sent, s.readForm(c, parts, sent)
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), req.Body, bodyLimit.maxBody()))
	if err != nil {
		return nil, bodyError(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body)) // for a request that is served once more, see guessed
	return sent, decode(body, &sent.IngestRequest)
}

// readForm takes the parts in any order.
func (s *Server) readForm(c echo.Context, parts *multipart.Reader, sent *sentSource) error {
	fields := map[string]*string{
		"url": &sent.URL, "text": &sent.Text, "name": &sent.Name, "source": &sent.Source, "title": &sent.Title, "source_type": (*string)(&sent.SourceType),
		"language": &sent.Language, "symbol": &sent.Symbol, "timeframe": &sent.Timeframe, "calendar": new(string),
	}
	seen := map[string]bool{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bodyError(err)
		}
		name := part.FormName()
		field, known := fields[name]
		switch {
		case seen[name]:
			return badForm(name, "is there twice")
		case name == "file":
			err = s.readFile(c, part, sent)
		case known:
			err = readText(part, name, field)
		default:
			err = badForm(name, "is not a part of this request")
		}
		if err != nil {
			return err
		}
		seen[name] = true
	}
	if text := *fields["calendar"]; text != "" {
		days, err := strconv.Atoi(text)
		if err != nil {
			return badForm("calendar", "must be 252 or 365")
		}
		sent.Calendar = days
	}
	return nil
}

func badForm(field, message string) error {
	return problem(http.StatusBadRequest, "The form is not valid.", invalid.FieldError{Field: field, Message: message})
}

func readText(part *multipart.Part, name string, into *string) error {
	most := int64(textFields)
	if name == "text" {
		most = bodyLimit.maxBody()
	}
	value, err := io.ReadAll(io.LimitReader(part, most+1))
	if err != nil {
		return bodyError(err)
	}
	if int64(len(value)) > most {
		return badForm(name, fmt.Sprintf("must be text of at most %d bytes", most))
	}
	if bad := badText(string(value)); bad != "" {
		return badForm(name, bad)
	}
	*into = string(value)
	return nil
}

// readFile copies the file into the database while it comes in.
func (s *Server) readFile(c echo.Context, part *multipart.Part, sent *sentSource) error {
	sum, head, count := sha256.New(), &headWriter{}, new(countWriter)
	content := io.TeeReader(part, io.MultiWriter(sum, head, count))
	sent.hasFile = true
	for field, text := range map[string]string{"file name": part.FileName(), "file content type": part.Header.Get(echo.HeaderContentType)} {
		if bad := badText(text); bad != "" {
			return badForm(field, bad)
		}
	}
	var err error
	sent.upload, err = s.store.Library.PutUpload(c.Request().Context(), workspaceOf(c), content)
	var unread *library.UnreadError
	if errors.As(err, &unread) {
		return bodyError(err)
	}
	if err != nil {
		return err
	}
	sent.sum, sent.head, sent.size = sum.Sum(nil), head.kept, int64(*count)
	sent.contentType = part.Header.Get(echo.HeaderContentType)
	if sent.Name == "" {
		sent.Name = part.FileName()
	}
	return nil
}

// headWriter keeps the beginning of what is written.
type headWriter struct{ kept []byte }

func (h *headWriter) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), headBytes-len(h.kept))]...)
	return len(p), nil
}

type countWriter int64

func (n *countWriter) Write(p []byte) (int, error) {
	*n += countWriter(len(p))
	return len(p), nil
}

// store keeps text that was sent as it keeps files.
func (sent *sentSource) store(ctx context.Context, st *stores.Set, workspace uuid.UUID) (uuid.UUID, error) {
	var err error
	sent.upload, err = st.Library.PutUpload(ctx, workspace, strings.NewReader(sent.Text))
	return sent.upload, err
}

// fingerprint is what makes two requests the same: their members, and the content of the file.
func (sent *sentSource) fingerprint() ([32]byte, error) {
	body, err := json.Marshal(struct {
		Request types.IngestRequest `json:"request"`
		File    string              `json:"file"`
	}{sent.IngestRequest, hex.EncodeToString(sent.sum)}, json.Deterministic(true))
	if err != nil {
		return [32]byte{}, fmt.Errorf("fingerprint: %w", err)
	}
	return sha256.Sum256(body), nil
}

// check holds the request against its rules. named is the type that its route names; "": none.
func (sent *sentSource) check(named knowledge.SourceType) (library.NewIngest, error) {
	var faults []invalid.FieldError
	fault := func(field, message string, limit any) {
		faults = append(faults, invalid.FieldError{Field: field, Message: message, Limit: limit})
	}
	switch {
	case sent.hasFile && sent.Text != "":
		fault("text", "cannot be sent beside a file", nil)
	case sent.hasFile && sent.size == 0:
		fault("file", "is empty", nil)
	case !sent.hasFile && sent.Text == "" && sent.URL == "":
		fault("url", "is required, unless text or a file is sent", nil)
	case sent.Text != "" && strings.TrimSpace(sent.Text) == "":
		fault("text", "is empty", nil)
	case sent.Source != "" && sent.URL != "":
		fault("source", "cannot be sent beside url, by which the document is known then", nil)
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{{"name", sent.Name, maxName}, {"source", sent.Source, maxSourceName}, {"title", sent.Title, 300}, {"symbol", sent.Symbol, 40}, {"timeframe", sent.Timeframe, 20}} {
		if utf8.RuneCountInString(f.value) > f.most || knowledge.Clean(f.value) != knowledge.Composed(f.value) || strings.ContainsAny(f.value, "\n\t") {
			fault(f.name, fmt.Sprintf("must be at most %d characters on one line", f.most), f.most)
		}
	}
	if sent.Language != "" && !languageTag.MatchString(sent.Language) {
		fault("language", "must be a language tag such as en or pt-BR", nil)
	}
	if sent.Calendar != 0 && sent.Calendar != int(backtest.CalendarExchange) && sent.Calendar != 365 {
		fault("calendar", "must be 252 or 365", []int{252, 365})
	}
	if sent.URL != "" {
		if err := checkAddress(sent.URL); err != nil {
			fault("url", err.Error(), nil)
		}
	}
	source, detected := sent.typeOf(named)
	switch {
	case source == "":
		fault("source_type", fmt.Sprintf("%q is not a source type", sent.SourceType), knowledge.SourceTypes())
	case named != "" && sent.SourceType != "" && knowledge.SourceType(sent.SourceType) != named:
		fault("source_type", "does not agree with the route", named)
	case source == knowledge.SourceYouTube && sent.URL != "" && !sent.hasFile && sent.Text == "" && extract.YouTubeID(sent.URL) == "":
		fault("url", "is not the address of a YouTube video", nil)
	case source == knowledge.SourceDataset && sent.Name == "" && sent.Title == "" && (sent.hasFile || sent.Text != ""):
		fault("title", "is required for a dataset that has no file name: it is the dataset's name", nil)
	}
	if err := fieldProblems(faults); err != nil {
		return library.NewIngest{}, err
	}
	in := library.NewIngest{
		SourceType: source, Detected: detected, CanonicalURL: sent.canonical(), URL: sent.URL, Name: sent.Name, Upload: sent.upload,
		Options: library.IngestOptions{
			Title: knowledge.Composed(sent.Title), Language: sent.Language, Symbol: sent.Symbol, Timeframe: sent.Timeframe, Calendar: sent.Calendar,
			ContentType: sent.contentType,
		},
	}
	return in, nil
}

func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("is not a URL")
	}
	if err := extract.CheckAddress(u); err != nil {
		return err
	}
	if len(extract.CanonicalURL(address)) > maxCanonical {
		return fmt.Errorf("is over %d characters", maxCanonical)
	}
	return nil
}

// maxCanonical is what a document's URL may have.
const maxCanonical = 2000

// typeOf is the type that the route or the request names, else what is found out; detected is true
// when what is fetched may still correct it.
func (sent *sentSource) typeOf(named knowledge.SourceType) (source knowledge.SourceType, detected bool) {
	switch {
	case named != "":
		return named, false
	case sent.SourceType != "":
		for _, known := range knowledge.SourceTypes() {
			if known == knowledge.SourceType(sent.SourceType) {
				return known, false
			}
		}
		return "", false
	case sent.hasFile:
		return extract.Detect(sent.head, sent.Name), false
	case sent.Text != "":
		return extract.Detect([]byte(sent.Text[:min(len(sent.Text), headBytes)]), sent.Name), false
	case extract.YouTubeID(sent.URL) != "":
		return knowledge.SourceYouTube, false
	}
	return knowledge.SourceArticle, true
}
