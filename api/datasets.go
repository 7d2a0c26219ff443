package api

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/market"
)

func viewDataset(d market.Dataset) types.Dataset {
	view := types.Dataset{
		DatasetID: d.ID.String(), Name: d.Name, Version: d.Version, FullName: d.FullName, Symbol: d.Symbol, Timeframe: d.Timeframe, Calendar: int(d.Calendar),
		Bars: d.Bars, From: d.From.UTC(), To: d.To.UTC(), SHA256: hex.EncodeToString(d.SHA256), CreatedAt: d.CreatedAt.UTC(),
		Instrument: viewInstrument(d.Instrument),
	}
	var reading types.Reading
	if err := json.Unmarshal(d.Reading, &reading); err == nil && reading.Format != "" {
		view.Reading = &reading
	}
	return view
}

func viewInstrument(in backtest.Instrument) types.Instrument {
	known := func(v float64) *float64 {
		if v == 0 {
			return nil
		}
		return &v
	}
	return types.Instrument{
		PeriodsPerYear: known(in.PeriodsPerYear), TimeZone: in.TimeZone, Session: in.Session, TickSize: known(in.TickSize),
		QuantityStep: known(in.QuantityStep), PointValue: known(in.PointValue), Currency: in.Currency,
	}
}

// datasetRoutes are the routes of datasets.
func (s *Server) datasetRoutes() []route {
	return []route{
		{http.MethodPost, "/datasets", member, s.uploadDataset, uploadLimit | bulk, about{
			summary: "Store bars under a name", form: datasetForm, status: http.StatusCreated, answer: types.Dataset{}}},
		{http.MethodPost, "/datasets/inspect", member, s.inspectDataset, bulk, about{
			summary: "How a file would be read, without storing it", form: inspectForm(), answer: types.Inspection{}}},
		{http.MethodGet, "/datasets", viewer, s.listDatasets, bodyLimit, about{
			summary: "The newest versions of the datasets, newest first", params: paging(50, 500, archivedToo()), answer: types.List[types.Dataset]{}}},
		{http.MethodGet, "/datasets/:id", viewer, s.getDataset, bodyLimit, about{
			summary: "A dataset by id, NAME for its newest version, or NAME@N", answer: types.Dataset{}}},
		{http.MethodPatch, "/datasets/:id", member, s.describeDataset, bodyLimit, about{
			summary: "Describe its newest version's instrument otherwise, as a new version", body: types.DatasetChange{}, sample: sampleChange, answer: types.Dataset{}}},
		{http.MethodGet, "/datasets/:id/bars", viewer, s.getBars, bodyLimit, about{
			summary: "A dataset's bars; its id may be its name", params: paging(1000, 10_000), tables: true, answer: types.List[types.Bar]{}}},
		{http.MethodPost, "/datasets/:id/bars", member, s.extendDataset, bulk, about{
			summary: "Append bars as a new version, or write them all again; no version when all are there already", form: extendForm(), answer: types.ExtendedDataset{}}},
		{http.MethodGet, "/datasets/:id/versions", viewer, s.listVersions, bodyLimit, about{
			summary: "Its versions, newest first, and what was computed on each", params: paging(50, 500), answer: types.List[types.DatasetVersion]{}}},
	}
}

// uploadDataset handles POST /datasets. The content decides what is stored, so sending it again is
// harmless and needs no idempotency key.
func (s *Server) uploadDataset(c echo.Context) error {
	up, err := readUpload(c, true)
	if err != nil {
		return err
	}
	defer up.file.close()
	ctx, meta := c.Request().Context(), up.meta
	bars, reading, err := s.readBars(ctx, up)
	if err != nil {
		return barsProblem(err)
	}
	meta.Timeframe = string(reading.Timeframe)
	meta.Instrument, meta.Calendar, reading.Guesses = bars.Describe(meta.Instrument, up.calendar)
	if meta.Reading, err = json.Marshal(reading); err != nil {
		return fmt.Errorf("encode the reading: %w", err)
	}
	stored, err := s.store.Market.PutDataset(ctx, workspaceOf(c), meta, bars)
	var differs *market.DifferenceError
	if errors.As(err, &differs) {
		return problem(http.StatusConflict, "Datasets are immutable: this name holds the same bars, otherwise described.",
			invalid.FieldError{Field: differs.Field, Message: fmt.Sprintf("is %q there and %q here", differs.Stored, differs.Sent)})
	}
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

// inspectDataset handles POST /datasets/inspect: how a file would be read, without storing it.
func (s *Server) inspectDataset(c echo.Context) error {
	up, err := readUpload(c, false)
	if err != nil {
		return err
	}
	defer up.file.close()
	bars, reading, err := s.readBars(c.Request().Context(), up)
	var asked *pricefile.QuestionError
	if err != nil && !errors.As(err, &asked) {
		return barsProblem(err)
	}
	view := types.Inspection{Questions: []types.Question{}, FirstBars: []types.Bar{}, LastBars: []types.Bar{}}
	if asked != nil {
		for _, q := range asked.Questions {
			view.Questions = append(view.Questions, types.Question{Option: q.Option, Choices: q.Choices, Reason: q.Reason, Row: q.Row})
		}
	} else {
		in, calendar, guesses := bars.Describe(up.meta.Instrument, up.calendar)
		reading.Guesses = guesses
		sum := ohlcv.Sum(bars)
		view.Readable, view.Bars, view.Timeframe, view.Calendar = true, bars.Len(), string(reading.Timeframe), int(calendar)
		view.Instrument, view.SHA256 = viewInstrument(in), hex.EncodeToString(sum[:])
		const shown = 3
		for i := range min(bars.Len(), shown) {
			view.FirstBars = append(view.FirstBars, viewBar(bars, i))
		}
		for i := max(bars.Len()-shown, len(view.FirstBars)); i < bars.Len(); i++ {
			view.LastBars = append(view.LastBars, viewBar(bars, i))
		}
	}
	raw, err := json.Marshal(reading)
	if err != nil {
		return fmt.Errorf("encode the reading: %w", err)
	}
	if err := json.Unmarshal(raw, &view.Reading); err != nil {
		return fmt.Errorf("view the reading: %w", err)
	}
	return ok(c, view)
}

func viewBar(b *backtest.Bars, i int) types.Bar {
	return types.Bar{
		Time: time.UnixMicro(b.Time[i]).UTC(), Open: b.Open[i], High: b.High[i], Low: b.Low[i], Close: b.Close[i], Volume: b.Volume[i],
	}
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
	archived, err := queryBool(c, "archived")
	if err != nil {
		return err
	}
	found, err := s.store.Market.Datasets(c.Request().Context(), workspaceOf(c), &archived, page, limit+1)
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
