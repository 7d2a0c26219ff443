package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/tuning"
)

// maxCompared is how many tunes are compared at once.
const maxCompared = 20

// groups of a comparison, in order.
var comparedGroups = []string{"settings", "result", "params", "metrics_is", "metrics_oos", "overfit", "regime"}

// compareTunes handles GET /backtests/compare.
func (s *Server) compareTunes(c echo.Context) error {
	ids, err := queryIDs(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	result := types.Comparison{Differs: []string{}}
	var columns []map[string]map[string]json.RawMessage
	for i, id := range ids {
		tune, err := s.store.Tuning.Get(ctx, workspaceOf(c), id)
		if errors.Is(err, store.ErrNotFound) {
			return problem(http.StatusNotFound, "This workspace has no such tune.",
				invalid.FieldError{Field: fmt.Sprintf("ids[%d]", i), Message: fmt.Sprintf("%s is not the id of a tune here", id)})
		}
		if err != nil {
			return err
		}
		column, err := s.comparedColumn(ctx, tune)
		if err != nil {
			return err
		}
		result.Tunes = append(result.Tunes, types.ComparedTune{
			TuneID: tune.ID.String(), Status: types.TuneStatus(tune.Status), Dataset: tune.Dataset, StrategyName: tune.Spec.StrategyName,
		})
		columns = append(columns, column)
	}
	lineUp(&result, columns)
	format, err := wantedFormat(c)
	if err != nil {
		return err
	}
	if string(format) == "csv" {
		return writeCSV(c, comparisonRows(result))
	}
	return ok(c, result)
}

func queryIDs(c echo.Context) ([]uuid.UUID, error) {
	texts := strings.Split(c.QueryParam("ids"), ",")
	if c.QueryParam("ids") == "" || len(texts) > maxCompared {
		return nil, badQuery("ids", fmt.Sprintf("must be 1 to %d ids of tunes, separated by commas", maxCompared), maxCompared)
	}
	var ids []uuid.UUID
	for i, text := range texts {
		id, err := uuid.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil, badQuery(fmt.Sprintf("ids[%d]", i), fmt.Sprintf("%q is not an id", text), nil)
		}
		if slices.Contains(ids, id) {
			return nil, badQuery(fmt.Sprintf("ids[%d]", i), "is there twice", nil)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// comparedColumn flattens what there is to compare of a tune: fields by group.
func (s *Server) comparedColumn(ctx context.Context, tune *tuning.Tune) (map[string]map[string]json.RawMessage, error) {
	view := viewTune(tune, tune.CreatedAt)
	parts := map[string]any{
		"settings": struct {
			Dataset string `json:"dataset"`
			Spec    any    `json:"spec"`
		}{tune.Dataset, tune.Spec},
		"result": map[string]any{
			"status": tune.Status, "n_trials": tune.Trials, "counts": view.Counts, "best_trial": view.BestTrial, "best_score": view.BestScore,
			"warnings": view.Warnings,
		},
		"overfit": view.Overfit, "regime": tune.Regime,
	}
	leaders, err := s.store.Tuning.LeaderboardOf(ctx, tune.WorkspaceID, tune.ID, 1)
	if err != nil {
		return nil, err
	}
	if len(leaders) > 0 {
		var best map[string]json.RawMessage
		if err := json.Unmarshal(leaders[0], &best); err != nil {
			return nil, fmt.Errorf("decode best trial: %w", err)
		}
		parts["params"], parts["metrics_is"], parts["metrics_oos"] = best["params"], best["metrics_is"], best["metrics_oos"]
	}
	column := map[string]map[string]json.RawMessage{}
	for group, part := range parts {
		raw, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", group, err)
		}
		column[group] = map[string]json.RawMessage{}
		if err := flatten(column[group], "", raw); err != nil {
			return nil, err
		}
	}
	return column, nil
}

// flatten gives each member that is not an object its path. The spec's own members need no prefix.
func flatten(into map[string]json.RawMessage, path string, raw json.RawMessage) error {
	if len(raw) == 0 || raw[0] != '{' {
		if path != "" {
			into[path] = raw
		}
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return fmt.Errorf("flatten %s: %w", path, err)
	}
	for name, member := range members {
		at := name
		if path != "" && path != "spec" {
			at = path + "." + name
		}
		if err := flatten(into, at, member); err != nil {
			return err
		}
	}
	return nil
}

// lineUp makes a row of every field that any tune has.
func lineUp(r *types.Comparison, columns []map[string]map[string]json.RawMessage) {
	for _, group := range comparedGroups {
		names := map[string]bool{}
		for _, column := range columns {
			for name := range column[group] {
				names[name] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			row := types.ComparedField{Group: group, Field: name}
			for _, column := range columns {
				value := column[group][name]
				if value == nil {
					value = json.RawMessage("null")
				}
				row.Values = append(row.Values, value)
				row.Differs = row.Differs || string(value) != string(row.Values[0])
			}
			if row.Differs && (group == "settings" || group == "params") {
				r.Differs = append(r.Differs, group+"."+name)
			}
			r.Fields = append(r.Fields, row)
		}
	}
}

// comparisonRows are the comparison as CSV: a row a field, a column a tune.
func comparisonRows(r types.Comparison) [][]string {
	head := []string{"group", "field", "differs"}
	for _, t := range r.Tunes {
		head = append(head, t.TuneID)
	}
	rows := [][]string{head}
	for _, f := range r.Fields {
		row := []string{f.Group, f.Field, strconv.FormatBool(f.Differs)}
		for _, v := range f.Values {
			row = append(row, plain(v))
		}
		rows = append(rows, row)
	}
	return rows
}

// plain is a JSON value for a cell: texts without their quotes, null empty.
func plain(v json.RawMessage) string {
	var text string
	switch {
	case string(v) == "null":
		return ""
	case json.Unmarshal(v, &text) == nil:
		return text
	}
	return string(v)
}
