package api

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/store/tuning"
)

// trialsAtOnce is how many trials of a stream are in memory.
const trialsAtOnce = 1000

// trialHead names the columns of trials as CSV: a column a parameter.
func trialHead(tune *tuning.Tune) []string {
	head := append([]string{"trial_index", "status"}, tune.Spec.ParamNames()...)
	return append(head, "score", "score_is", "score_oos", "overfit_gap", "return_pct_is", "return_pct_oos",
		"max_drawdown_pct_is", "max_drawdown_pct_oos", "trades_is", "trades_oos", "reason")
}

func trialRows(tune *tuning.Tune, trials []types.Trial) [][]string {
	names := tune.Spec.ParamNames()
	rows := make([][]string, len(trials))
	for i, t := range trials {
		row := []string{strconv.Itoa(t.Index), string(t.Status)}
		for _, name := range names {
			row = append(row, decimal(t.Params[name]))
		}
		trades := ""
		if t.TradesOOS != nil {
			trades = strconv.Itoa(*t.TradesOOS)
		}
		rows[i] = append(row, optional(t.Score), optional(t.ScoreIS), optional(t.ScoreOOS), optional(t.OverfitGap),
			optional(t.ReturnPctIS), optional(t.ReturnPctOOS), optional(t.MaxDrawdownIS), optional(t.MaxDrawdownOOS),
			strconv.Itoa(t.TradesIS), trades, t.Reason)
	}
	return rows
}

// streamTrials writes all trials from an index on as CSV, in memory for a few of them. When the
// rest cannot be read, the connection is broken off: what ends as it should is whole.
func (s *Server) streamTrials(c echo.Context, tune *tuning.Tune, from int, status string) error {
	out := csv.NewWriter(c.Response())
	page, err := s.trialsByIndex(c.Request().Context(), tune, from, trialsAtOnce, status)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	c.Response().WriteHeader(http.StatusOK)
	if err := out.Write(trialHead(tune)); err != nil {
		return fmt.Errorf("write trials: %w", err)
	}
	for {
		if err := out.WriteAll(trialRows(tune, page.Items)); err != nil {
			return fmt.Errorf("write trials: %w", err)
		}
		if page.NextCursor == nil {
			return nil
		}
		at, err := unpackCursor(*page.NextCursor, 1)
		if err == nil {
			from, err = strconv.Atoi(at[0])
		}
		if err == nil {
			page, err = s.trialsByIndex(c.Request().Context(), tune, from, trialsAtOnce, status)
		}
		if err != nil {
			s.opts.Logger.ErrorContext(c.Request().Context(), "trials were cut short", "tune_id", tune.ID, "error", err)
			_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Unix(1, 0)) // or the client takes it for the end
			return err
		}
	}
}
