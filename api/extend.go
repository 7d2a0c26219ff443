package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/console"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/market"
)

// namedDataset is the dataset of the path: an id or a name.
func (s *Server) namedDataset(c echo.Context) (market.Dataset, error) {
	name, err := url.PathUnescape(c.Param("id"))
	if err != nil || badText(name) != "" {
		return market.Dataset{}, problem(http.StatusNotFound, console.NothingThere)
	}
	found, err := s.store.Market.Dataset(c.Request().Context(), workspaceOf(c), name)
	if err != nil {
		return found, datasetProblem("id", name, err)
	}
	return found, nil
}

// getDataset handles GET /datasets/:id.
func (s *Server) getDataset(c echo.Context) error {
	found, err := s.namedDataset(c)
	if err != nil {
		return err
	}
	return ok(c, viewDataset(found))
}

// listVersions handles GET /datasets/:id/versions.
func (s *Server) listVersions(c echo.Context) error {
	limit, err := queryInt(c, "limit", 50, 1, 500)
	if err != nil {
		return err
	}
	before := 0
	if text := c.QueryParam("cursor"); text != "" {
		parts, err := unpackCursor(text, 1)
		if err != nil {
			return err
		}
		if before, err = cursorInt(parts[0], 1); err != nil {
			return err
		}
	}
	named, err := s.namedDataset(c)
	if err != nil {
		return err
	}
	found, err := s.store.Market.Versions(c.Request().Context(), workspaceOf(c), named.Name, before, limit+1)
	if err != nil {
		return err
	}
	views := make([]types.DatasetVersion, len(found))
	for i, v := range found {
		views[i] = types.DatasetVersion{
			Dataset: viewDataset(v.Dataset), Change: types.VersionChange(v.Change), AddedBars: v.Added, Note: v.Note, Stale: v.Stale,
			Results: types.ResultCounts(v.Results),
		}
	}
	return ok(c, paged(views, limit, func(v types.DatasetVersion) string { return packCursor(strconv.Itoa(v.Version)) }))
}

// describeDataset handles PATCH /datasets/:id. The same description again changes nothing.
func (s *Server) describeDataset(c echo.Context) error {
	var req types.DatasetChange
	if err := bind(c, &req); err != nil {
		return err
	}
	named, err := s.namedDataset(c)
	if err != nil {
		return err
	}
	change := market.Description{
		PeriodsPerYear: req.PeriodsPerYear, TickSize: req.TickSize, QuantityStep: req.QuantityStep, PointValue: req.PointValue,
		TimeZone: req.TimeZone, Session: req.Session, Currency: req.Currency,
	}
	if req.Calendar != nil {
		calendar := backtest.Calendar(*req.Calendar)
		change.Calendar = &calendar
	}
	next, made, err := s.store.Market.Describe(c.Request().Context(), workspaceOf(c), named.ID.String(), change, checkDescription)
	if err != nil {
		return racedProblem(err)
	}
	if made {
		c.Response().Header().Set("Location", "/datasets/"+next.ID.String())
	}
	return ok(c, viewDataset(next))
}

func checkDescription(d *market.Dataset) error {
	faults := d.Validate()
	if !known(d.Calendar) {
		faults = append(faults, invalid.FieldError{Field: "calendar", Message: "must be 252, 260 or 365", Limit: backtest.Calendars()})
	}
	for field, v := range map[string]float64{
		"periods_per_year": d.PeriodsPerYear, "tick_size": d.TickSize, "quantity_step": d.QuantityStep, "point_value": d.PointValue,
	} {
		if v < 0 {
			faults = append(faults, invalid.FieldError{Field: field, Message: "must be a positive number"})
		}
	}
	return fieldProblems(faults)
}

// extendDataset handles POST /datasets/:id/bars. The content decides what is stored, so sending it again is
// harmless and needs no idempotency key.
func (s *Server) extendDataset(c echo.Context) error {
	head, err := s.namedDataset(c)
	if err != nil {
		return err
	}
	up, values, err := readForm(c, append(pricefile.OptionNames(), "rewrite", backtest.OptionGap, backtest.OptionWeekend))
	if err != nil {
		return err
	}
	defer up.file.close()
	var e market.Extension
	faults := up.reading(values)
	given := strings.TrimSpace(values["rewrite"])
	if given != "" && given != "true" && given != "false" {
		faults = append(faults, invalid.FieldError{Field: "rewrite", Message: "must be true, or left out", Limit: []string{"true"}})
	}
	e.Rewrite, e.AnyJump = given == "true", up.options.Jump == pricefile.JumpAny
	for option, into := range map[string]*bool{backtest.OptionGap: &e.AnyGap, backtest.OptionWeekend: &e.AnyWeekend} {
		given := strings.TrimSpace(values[option])
		if *into = given == "any"; given != "" && !*into {
			faults = append(faults, invalid.FieldError{Field: option, Message: "must be any, or left out", Limit: []string{"any"}})
		}
	}
	if err := fieldProblems(faults); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := s.readExtension(ctx, up, head, &e); err != nil {
		return barsProblem(err)
	}
	made, err := s.store.Market.Extend(ctx, workspaceOf(c), head.ID.String(), e)
	if err != nil {
		return seamProblem(err)
	}
	if made.Made {
		c.Response().Header().Set("Location", "/datasets/"+made.Dataset.ID.String())
	}
	return ok(c, viewExtended(made))
}

func viewExtended(e market.Extended) types.ExtendedDataset {
	ids := make([]string, len(e.Stale.IDs))
	for i, id := range e.Stale.IDs {
		ids[i] = id.String()
	}
	return types.ExtendedDataset{
		Dataset: viewDataset(e.Dataset), Made: e.Made, AddedBars: e.Added, OverlappingBars: e.Overlap, Note: e.Note,
		Stale: types.StaleResults{ResultCounts: types.ResultCounts(e.Stale.Results), IDs: ids},
	}
}

// readExtension reads the file as the dataset's own was read: what was stated of that one holds for this one, too,
// and answers the questions that it answered.
func (s *Server) readExtension(ctx context.Context, up *upload, head market.Dataset, e *market.Extension) error {
	var before pricefile.Reading
	if err := json.Unmarshal(head.Reading, &before); err != nil {
		return fmt.Errorf("decode the reading of %s: %w", head.ID, err)
	}
	up.options.Timeframe = backtest.Timeframe(head.Timeframe)
	stated := before.Stated()
	for _, option := range []string{"time_zone", "adjust"} {
		if value := stated[option]; value != "" && !up.states(option) {
			if fault := up.options.Set(option, value); fault != nil {
				return fieldProblem(fault.Field, fault.Message, fault.Limit)
			}
		}
	}
	bars, reading, err := s.readBars(ctx, up)
	var asked *pricefile.QuestionError
	for tries := 0; errors.As(err, &asked) && tries < len(stated) && up.answer(asked, stated); tries++ {
		bars, reading, err = s.readBars(ctx, up)
	}
	if err != nil {
		return err
	}
	reading.Guesses = before.Guesses
	guessed := func(text string) bool { return strings.HasPrefix(text, "tick_size ") }
	if i := slices.IndexFunc(before.Guesses, guessed); i >= 0 {
		if e.TickSize = backtest.FinerTick(bars, head.TickSize); e.TickSize > 0 {
			reading.Guesses = slices.Clone(before.Guesses)
			reading.Guesses[i] = fmt.Sprintf("tick_size %v: the step that all prices are multiples of, by the appended bars", e.TickSize)
		}
	}
	e.Bars = bars
	e.Reading, err = json.Marshal(reading)
	return err
}

// states reports whether the form stated the option.
func (up *upload) states(option string) bool {
	return option == "time_zone" && up.options.TimeZone != "" || option == "adjust" && up.options.Adjust != ""
}

// answer sets the asked options that the file of before answers; false when there is none.
func (up *upload) answer(asked *pricefile.QuestionError, stated map[string]string) bool {
	answered := false
	for _, q := range asked.Questions {
		if value := stated[q.Option]; value != "" && up.options.Set(q.Option, value) == nil {
			delete(stated, q.Option)
			answered = true
		}
	}
	return answered
}

// seamProblem says where new bars do not continue the stored ones.
func seamProblem(err error) error {
	var seam *backtest.SeamError
	if !errors.As(err, &seam) {
		return racedProblem(err)
	}
	if seam.Option != "" {
		return problem(http.StatusUnprocessableEntity, "The bars do not continue the stored ones as they are.",
			invalid.FieldError{Field: seam.Option, Message: seam.Reason})
	}
	difference := map[string]any{"time": seam.Time.Format(time.RFC3339Nano), "column": seam.Column}
	maps.Copy(difference, map[string]any{"stored": seam.Stored, "sent": seam.Sent})
	return problem(http.StatusConflict, "The bars differ from those that are stored.",
		invalid.FieldError{Field: "file", Message: seam.Reason, Limit: difference})
}

// racedProblem says that another request made a version first.
func racedProblem(err error) error {
	var raced *market.RacedError
	switch {
	case errors.As(err, &raced):
		return problem(http.StatusConflict, fmt.Sprintf("Another request made a version of %q meanwhile: send this one again.", raced.Name))
	case errors.Is(err, market.ErrFull):
		return fieldProblem("file", err.Error(), nil)
	case errors.Is(err, store.ErrConflict):
		return problem(http.StatusConflict, "The name of the next version is taken by another dataset.")
	}
	return err
}
