package api

import (
	"strconv"

	"millrace/api/types"
	"millrace/store/tuning"
)

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
