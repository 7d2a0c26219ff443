package api

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/market"
)

func viewDataset(d market.Dataset) types.Dataset {
	return types.Dataset{
		DatasetID: d.ID.String(), Name: d.Name, Symbol: d.Symbol, Timeframe: d.Timeframe, Calendar: int(d.Calendar),
		Bars: d.Bars, From: d.From.UTC(), To: d.To.UTC(), SHA256: hex.EncodeToString(d.SHA256), CreatedAt: d.CreatedAt.UTC(),
	}
}

// uploadDataset handles POST /datasets. The content decides what is stored, so sending it again is
// harmless and needs no idempotency key.
func (s *Server) uploadDataset(c echo.Context) error {
	meta, file, err := readUpload(c)
	if err != nil {
		return err
	}
	bars, err := ohlcv.Read(file)
	if err != nil {
		return barsProblem(err)
	}
	stored, err := s.store.Market.PutDataset(c.Request().Context(), workspaceOf(c), meta, bars)
	if errors.Is(err, store.ErrConflict) {
		return problem(http.StatusConflict, "Datasets are immutable: this name holds other bars.",
			invalid.FieldError{Field: "name", Message: fmt.Sprintf("%q is taken", meta.Name)})
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", "/datasets/"+stored.ID.String())
	return writeJSON(c, http.StatusCreated, "application/json", viewDataset(stored))
}

// readUpload reads the parts of the form; the order of parts is free.
func readUpload(c echo.Context) (market.Dataset, []byte, error) {
	meta := market.Dataset{Calendar: backtest.CalendarExchange}
	parts, err := c.Request().MultipartReader()
	if err != nil {
		return meta, nil, problem(http.StatusBadRequest, "Send multipart/form-data with the parts file, name, symbol, timeframe and, if you like, calendar.")
	}
	var file []byte
	values := map[string]string{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return meta, nil, bodyError(err)
		}
		if part.FormName() == "file" {
			if file, err = io.ReadAll(part); err != nil {
				return meta, nil, bodyError(err)
			}
			continue
		}
		if err := readField(part, values); err != nil {
			return meta, nil, err
		}
	}
	var faults []invalid.FieldError
	text := func(field string, limit int) string {
		value := strings.TrimSpace(values[field])
		if value == "" || len([]rune(value)) > limit || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			faults = append(faults, invalid.FieldError{Field: field, Message: fmt.Sprintf("is required: 1 to %d characters on one line", limit), Limit: limit})
		}
		return value
	}
	meta.Name, meta.Symbol, meta.Timeframe = text("name", 100), text("symbol", 40), text("timeframe", 20)
	if given, ok := values["calendar"]; ok {
		days, err := strconv.Atoi(given)
		if err != nil || days != 252 && days != 365 {
			faults = append(faults, invalid.FieldError{Field: "calendar", Message: "must be 252 or 365", Limit: []int{252, 365}})
		}
		meta.Calendar = backtest.Calendar(days)
	}
	if len(file) == 0 {
		faults = append(faults, invalid.FieldError{Field: "file", Message: "is required: a CSV or Parquet file that is not empty"})
	}
	return meta, file, fieldProblems(faults)
}

func readField(part *multipart.Part, into map[string]string) error {
	name := part.FormName()
	switch name {
	case "name", "symbol", "timeframe", "calendar":
	default:
		return problem(http.StatusBadRequest, "The form is not valid.",
			invalid.FieldError{Field: name, Message: "is not a part of this request"})
	}
	value, err := io.ReadAll(io.LimitReader(part, 4096))
	if err != nil {
		return bodyError(err)
	}
	if bad := badText(string(value)); bad != "" {
		return badForm(name, bad)
	}
	into[name] = string(value)
	return nil
}

// barsProblem names the row and column of a file that could not be read.
func barsProblem(err error) error {
	var row *ohlcv.RowError
	if errors.As(err, &row) {
		return problem(http.StatusUnprocessableEntity, "The file is not a valid set of bars.",
			invalid.FieldError{Field: fmt.Sprintf("file.row[%d].%s", row.Row, row.Column), Message: err.Error()})
	}
	return fieldProblem("file", err.Error(), nil)
}

// listDatasets handles GET /datasets.
func (s *Server) listDatasets(c echo.Context) error {
	page, err := queryPage(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 50, 1, 500)
	if err != nil {
		return err
	}
	found, err := s.store.Market.Datasets(c.Request().Context(), workspaceOf(c), page, limit+1)
	if err != nil {
		return err
	}
	views := make([]types.Dataset, len(found))
	ids := map[string]market.Dataset{}
	for i, d := range found {
		views[i] = viewDataset(d)
		ids[views[i].DatasetID] = d
	}
	return ok(c, paged(views, limit, func(v types.Dataset) string { return pageCursor(v.CreatedAt, ids[v.DatasetID].ID) }))
}
