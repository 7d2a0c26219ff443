package sweep

import (
	"fmt"
	"math"

	"millrace/jobs/backtest"
)

// Trial is one trial as the API shows it. Returns and drawdowns are abridged to a float32's
// precision; scores are exact. A figure that is undefined is nil.
type Trial struct {
	Index          int                `json:"trial_index"`
	Status         Status             `json:"status"`
	Params         map[string]float64 `json:"params"`
	Score          *float64           `json:"score"`
	ScoreIS        *float64           `json:"score_is"`
	ScoreOOS       *float64           `json:"score_oos"` // nil without a split, like all of its part
	OverfitGap     *float64           `json:"overfit_gap"`
	ReturnPctIS    *float64           `json:"return_pct_is"`
	ReturnPctOOS   *float64           `json:"return_pct_oos"`
	MaxDrawdownIS  *float64           `json:"max_drawdown_pct_is"`
	MaxDrawdownOOS *float64           `json:"max_drawdown_pct_oos"`
	TradesIS       int                `json:"trades_is"`
	TradesOOS      *int               `json:"trades_oos"`
	Reason         string             `json:"reason,omitempty"` // of a trial that is not completed
	Pruned         *PrunedAt          `json:"pruned,omitempty"` // nil: it ran on all bars, or will
}

// PrunedAt is where a trial was pruned, and its score on the few bars of that rung; from 1.
type PrunedAt struct {
	Rung  int      `json:"rung"`
	Score *float64 `json:"score"`
}

// Columns are the stored trials of one shard. Making a Trial of one costs nothing for the others.
type Columns struct {
	spec  Spec
	shard Shard
	names []string
	cols  *columns
	// rungScores are the scores of pruned trials by row; cols has none of them.
	rungScores map[int]float64
}

// OpenColumns reads what Encode kept of a shard.
func OpenColumns(spec Spec, sh Shard, data []byte) (*Columns, error) {
	spec = spec.normalized()
	names := spec.ParamNames()
	cols, err := decodeColumns(data, len(names), sh.Trials)
	if err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	return &Columns{spec: spec, shard: sh, names: names, cols: cols, rungScores: cols.takeRungScores(spec)}, nil
}

// Len is the number of trials in the shard.
func (c *Columns) Len() int { return c.cols.len() }

// Trial makes the shard's i-th trial, from 0; its index is the shard's First and i more.
func (c *Columns) Trial(i int) Trial {
	point := make(backtest.Params, len(c.names))
	c.cols.point(i, point)
	t := c.Figures(i)
	t.Params = named(c.names, point)
	return t
}

// Figures is the shard's i-th trial without its parameters, which Param has by columns.
func (c *Columns) Figures(i int) Trial {
	row := c.cols.row(i)
	if score, pruned := c.rungScores[i]; pruned {
		row.scoreIS, row.scoreOOS = score, score
	}
	return c.spec.trial(c.shard.First+i, nil, &row)
}

// Index is the number of the shard's i-th trial in the tune.
func (c *Columns) Index(i int) int { return c.shard.First + i }

// Status is the status of the shard's i-th trial.
func (c *Columns) Status(i int) Status { return c.cols.verdicts[i].status() }

// Names are the strategy's parameters, in order.
func (c *Columns) Names() []string { return c.names }

// Param is the column of the k-th parameter. It may not be changed.
func (c *Columns) Param(k int) []float64 { return c.cols.params[k] }

// Scores are the columns of the scores, in sample and out of sample; NaN where undefined, and where a
// trial was pruned: the score of a rung is not one on all bars. They may not be changed.
func (c *Columns) Scores() (is, oos []float64) { return c.cols.scores[0], c.cols.scores[1] }

// DecodeColumns reads all trials of a shard from what Encode kept of them.
func DecodeColumns(spec Spec, sh Shard, data []byte) ([]Trial, error) {
	c, err := OpenColumns(spec, sh, data)
	if err != nil {
		return nil, err
	}
	trials := make([]Trial, c.Len())
	for i := range trials {
		trials[i] = c.Trial(i)
	}
	return trials, nil
}

// DecodeTrials reads some trials of a shard, by index and in that order; all must be in it.
func DecodeTrials(spec Spec, sh Shard, data []byte, indexes []int) ([]Trial, error) {
	spec = spec.normalized()
	rows := make([]int, len(indexes))
	for i, index := range indexes {
		if rows[i] = index - sh.First; rows[i] < 0 || rows[i] >= sh.Trials {
			return nil, fmt.Errorf("trial %d is not in the shard from %d", index, sh.First)
		}
	}
	names := spec.ParamNames()
	cols, err := decodeRows(data, len(names), sh.Trials, rows)
	if err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	point := make(backtest.Params, len(names))
	trials := make([]Trial, len(rows))
	for i, index := range indexes {
		cols.point(i, point)
		row := cols.row(i)
		trials[i] = spec.trial(index, named(names, point), &row)
	}
	return trials, nil
}

func named(names []string, point backtest.Params) map[string]float64 {
	values := make(map[string]float64, len(names))
	for i, name := range names {
		values[name] = point[i]
	}
	return values
}

// defined is v, or nil when it is not a finite number.
func defined(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func (s Spec) trial(index int, params map[string]float64, row *trialRow) Trial {
	t := Trial{
		Index: index, Status: row.verdict.status(), Params: params, Reason: s.reason(row.verdict),
	}
	if rung, pruned := row.verdict.pruned(); pruned {
		t.Pruned = &PrunedAt{Rung: rung + 1, Score: defined(s.selection(row.scoreIS, row.scoreOOS))}
		return t
	}
	if row.verdict == panicked || row.verdict == screened {
		return t
	}
	t.Score, t.ScoreIS = defined(s.selection(row.scoreIS, row.scoreOOS)), defined(row.scoreIS)
	t.ReturnPctIS, t.MaxDrawdownIS, t.TradesIS = defined(row.returnIS), defined(row.drawdownIS), row.tradesIS
	if s.split() {
		trades := row.tradesOOS
		t.ScoreOOS, t.OverfitGap = defined(row.scoreOOS), defined(row.scoreIS-row.scoreOOS)
		t.ReturnPctOOS, t.MaxDrawdownOOS, t.TradesOOS = defined(row.returnOOS), defined(row.drawdownOOS), &trades
	}
	return t
}
