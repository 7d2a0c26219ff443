package sweep

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
)

// Choice is which trials of a tune to list and in which order.
type Choice struct {
	Where  string // a condition on parameters and figures, such as "fast < 20 and trades_oos >= 10"; "": all
	Status Status // "": any
	Order  string // a parameter or figure; with "-" before it the greatest first; "": by number
	Limit  int    // at most so many; 0: all
	From   int    // how many to leave out first
}

// FigureNames are the figures of a trial that a Choice can name beside the parameters.
func FigureNames() []string {
	return []string{
		"trial", "score", "score_is", "score_oos", "overfit_gap", "return_pct_is", "return_pct_oos",
		"max_drawdown_pct_is", "max_drawdown_pct_oos", "trades_is", "trades_oos",
	}
}

// Chooser chooses trials of a tune, shard by shard.
type Chooser struct {
	choice  Choice
	where   truthFunc
	column  int // in figures and parameters; −1: by number
	down    bool
	split   bool
	spec    Spec
	kept    []keyed
	matched int
	full    bool // kept has all that are asked for, and none of them has a greater key than worst
	worst   float64
}

type keyed struct {
	key   float64
	trial Trial
}

// NewChooser reads a choice. A fault names the part that is wrong.
func NewChooser(spec Spec, choice Choice) (*Chooser, *invalid.FieldError) {
	spec = spec.normalized()
	names := append(FigureNames(), spec.ParamNames()...)
	c := &Chooser{choice: choice, column: -1, spec: spec, split: spec.split()}
	if choice.Where != "" {
		var err error
		if c.where, err = compileConstraint(choice.Where, names); err != nil {
			return nil, &invalid.FieldError{Field: "where", Message: err.Error(), Limit: names}
		}
	}
	column, down := strings.CutPrefix(choice.Order, "-")
	if c.down = down; column != "" {
		if c.column = slices.Index(names, column); c.column < 0 {
			return nil, &invalid.FieldError{Field: "order", Message: "is not a parameter or figure of the tune", Limit: names}
		}
	}
	return c, nil
}

// Add looks at a shard's trials. Shards come in order.
func (c *Chooser) Add(cols *Columns) {
	figures := len(FigureNames())
	row := make(backtest.Params, figures+len(cols.names))
	for i, v := range cols.cols.verdicts {
		if c.choice.Status != "" && v.status() != c.choice.Status {
			continue
		}
		c.read(cols, i, row)
		if c.where != nil && !c.where(row) {
			continue
		}
		c.matched++
		key := float64(cols.shard.First + i)
		if c.column >= 0 {
			key = row[c.column]
		}
		if c.down {
			key = -key
		}
		if math.IsNaN(key) {
			key = math.Inf(1) // what is undefined comes last
		}
		most := c.choice.From + c.choice.Limit
		if c.full && key >= c.worst {
			continue // the first so many are better, or came before
		}
		if c.choice.Limit > 0 && len(c.kept) >= 2*most+64 {
			c.shrink(most)
		}
		c.kept = append(c.kept, keyed{key, cols.Trial(i)})
	}
}

// shrink keeps the first.
func (c *Chooser) shrink(most int) {
	slices.SortStableFunc(c.kept, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	c.kept = c.kept[:min(most, len(c.kept))]
	if c.choice.Limit > 0 && len(c.kept) == most && most > 0 {
		c.full, c.worst = true, c.kept[most-1].key
	}
}

// read writes the figures and parameters of a trial; NaN where undefined.
func (c *Chooser) read(cols *Columns, i int, row backtest.Params) {
	r := cols.cols.row(i)
	nan := math.NaN()
	if !c.split {
		r.scoreOOS, r.returnOOS, r.drawdownOOS = nan, nan, nan
	}
	trades := float64(r.tradesOOS)
	if !c.split {
		trades = nan
	}
	copy(row, []float64{
		float64(cols.shard.First + i), c.spec.selection(r.scoreIS, r.scoreOOS), r.scoreIS, r.scoreOOS, r.scoreIS - r.scoreOOS,
		r.returnIS, r.returnOOS, r.drawdownIS, r.drawdownOOS, float64(r.tradesIS), trades,
	})
	cols.cols.point(i, row[len(FigureNames()):])
}

// Trials are those that were chosen, in order.
func (c *Chooser) Trials() []Trial {
	c.shrink(len(c.kept))
	rest := c.kept[min(c.choice.From, len(c.kept)):]
	if c.choice.Limit > 0 {
		rest = rest[:min(c.choice.Limit, len(rest))]
	}
	trials := make([]Trial, len(rest))
	for i, k := range rest {
		trials[i] = k.trial
	}
	return trials
}

// Matched is how many trials meet the condition.
func (c *Chooser) Matched() int { return c.matched }
