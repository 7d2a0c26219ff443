package sweep

import (
	"errors"
	"math"
	"slices"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
	"millrace/jobs/sweep/evidence"
	"millrace/ops/routine"
)

const (
	resamples     = 1000 // of the bootstrap
	leadersPanel  = 10   // leaders that are in the panel whether they were sampled or not
	leadersCosts  = 3    // leaders that run at other costs
	costSteps     = 8    // halvings of the interval that holds the break-even cost
	maxCostTimes  = 64   // above it the break-even cost is not looked for
	maxCommission = 0.1
)

// Evidence is the verdict on the best trial and what it rests on. Ratios are annualised. An undefined
// figure is nil, with the reason in Undefined.
type Evidence struct {
	evidence.Judgement
	Selection *SelectionFigures `json:"selection,omitempty"` // nil: of a walk-forward
	Market    MarketFigures     `json:"market"`
	Luck      LuckFigures       `json:"luck"`
	Paths     *PathFigures      `json:"paths"`
	Costs     *CostFigures      `json:"costs"`
	Starts    []StartFigures    `json:"starts"`
	Regimes   []RegimeFigures   `json:"regimes"`
	// Permutation is the best trial beside those of searches on permuted bars; nil when none were asked for.
	Permutation *PermutationFigures `json:"permutation,omitempty"`
	Undefined   map[string]string   `json:"undefined,omitempty"`
}

// SelectionFigures say what the best trial was chosen by.
type SelectionFigures struct {
	RankedOn string `json:"ranked_on"` // "is", "oos"; "all" without a split
	LimitsOn string `json:"limits_on"` // the same of the gates
	// Excluded are the trials that the gates exclude, and Outranking those of them whose score is above the
	// best trial's. Where the gates read the part out of sample and exclude one that outranks it, that part
	// took part in the choice.
	Excluded   int `json:"excluded"`
	Outranking int `json:"outranking"`
}

// MarketFigures compare the best trial with buy-and-hold on the part that selects. Excess is what is
// left of its returns without its exposure's share in those of buy-and-hold.
type MarketFigures struct {
	DriftPct         *float64 `json:"drift_pct"` // mean return of buy-and-hold, percent a year
	HoldSharpe       *float64 `json:"hold_sharpe"`
	AlphaPct         *float64 `json:"alpha_pct"` // percent a year
	Beta             *float64 `json:"beta"`
	InformationRatio *float64 `json:"information_ratio"`
	UpCapture        *float64 `json:"up_capture"`
	DownCapture      *float64 `json:"down_capture"`
	ExcessSharpe     *float64 `json:"excess_sharpe"`
	ExcessSharpeOOS  *float64 `json:"excess_sharpe_oos"`
	ExcessPSR        *float64 `json:"excess_psr"`
	ExcessDSR        *float64 `json:"excess_dsr"` // of the excess, like or opposite trials counted once; not Overfit.DSR
	// GapError is the standard error of the difference of the Sharpe ratios in sample and out of sample.
	GapError *float64 `json:"gap_error"`
}

// LuckFigures say how much of the best trial the choice among so many explains.
type LuckFigures struct {
	Trials       int      `json:"trials"`  // that traded
	Sampled      int      `json:"sampled"` // whose returns were looked at
	Groups       int      `json:"groups"`  // of like or opposite trials among them
	Effective    int      `json:"effective_trials"`
	SR0          *float64 `json:"sr0"` // expected of the best of so many without skill
	PValue       *float64 `json:"p_value"`
	SPA          *float64 `json:"spa"` // of the sampled trials; p_value is for all
	SPALower     *float64 `json:"spa_lower"`
	SPAUpper     *float64 `json:"spa_upper"`
	RealityCheck *float64 `json:"reality_check"`
	Survivors    []int    `json:"survivors"` // of the sample, better than buy-and-hold each by itself, at 5 % together over all trials
	Block        *float64 `json:"block"`     // mean block length of the bootstrap, periods
	Resamples    int      `json:"resamples"`
}

// PathFigures are the Sharpe ratios of the out-of-sample paths of cross-validation.
type PathFigures struct {
	Sharpe  []float64 `json:"sharpe"`
	Median  float64   `json:"median"`
	Worst   float64   `json:"worst"`
	Loss    float64   `json:"loss"`    // share of paths that lose
	Embargo int       `json:"embargo"` // periods
	Memory  int       `json:"memory"`  // of the best trial, in periods: its warm-up, or its longest trade
}

// errUneven is why a tune over datasets of different lengths has no verdict.
var errUneven = errors.New("the datasets differ in their number of periods, and move together")

// weighing is what one verdict is made of.
type weighing struct {
	plan    *Plan
	traders []backtest.Trader
	best    backtest.Params
	held    []float64 // buy-and-hold on the part that selects
	panel   *evidence.Panel
	excess  *evidence.Panel
	row     int          // of the best trial
	year    float64      // √ of periods a year
	states  *states      // nil: not found yet
	kept    *Kept        // nil: nothing
	ended   func() error // why runs at other costs end before they are done; nil: they do not
	found   evidence.Findings
	out     *Evidence
}

// weigh makes the verdict on the best trial; nil when there is none, or it is not to be judged alone.
func (p *Plan) weigh(out *Outcome, all *gathered) (*Evidence, error) {
	if len(out.Leaderboard) == 0 || !p.weighs() {
		return nil, nil
	}
	w := &weighing{plan: p, held: p.held(false), states: all.kept.statesFound(), kept: all.kept, out: &Evidence{Starts: []StartFigures{}, Regimes: []RegimeFigures{}}}
	w.out.Luck.Survivors = []int{}
	perYear := p.bars.PeriodsPerYear(p.config.Calendar)
	w.year = math.Sqrt(perYear)
	nan := math.NaN()
	w.found = evidence.Findings{PValue: nan, DSR: nan, Stability: nan, PathLoss: nan, BreakEven: nan, OutOfSample: nan, Permuted: nan, PeriodsPerYear: perYear}
	if w.out.Luck.Trials = out.Overfit.NTrials; out.Overfit.Stability != nil {
		w.found.Stability = *out.Overfit.Stability
	}
	scratch := p.scratch()
	defer p.clear(scratch)
	w.traders = scratch.runners
	switch err := w.measure(out, all); {
	case errors.Is(err, errUneven), errors.Is(err, evidence.ErrTooFew), errors.Is(err, errNoReturns):
		w.out.explain("verdict", err.Error())
	case err != nil:
		return nil, err
	}
	w.permutations(out.Leaderboard[0].Score, all.permuted)
	w.selection(out, all.cols)
	w.out.Judgement = evidence.Judge(w.found)
	return w.out, nil
}

// selection says what the best trial was chosen by.
func (w *weighing) selection(out *Outcome, cols *columns) {
	p := w.plan
	f := &SelectionFigures{RankedOn: "all", LimitsOn: out.Gates.EvaluatedOn}
	if p.spec.selectsOOS() {
		f.RankedOn = "oos"
	} else if p.hasSplit() {
		f.RankedOn = "is"
	}
	scores := cols.selecting(p.spec)
	for i, v := range cols.verdicts {
		if v != tooDeep && v != tooFewTrades {
			continue
		}
		f.Excluded++
		if scores[i] > out.Leaderboard[0].Score {
			f.Outranking++
		}
	}
	if w.out.Selection = f; f.LimitsOn == "oos" && f.RankedOn == "is" {
		w.found.Excluded, w.found.Outranking = f.Excluded, f.Outranking
	}
}

// errNoReturns is why a tune that an older version began has no verdict.
var errNoReturns = errors.New("an older version ran the trials and kept no returns: run the tune again")

func (w *weighing) measure(out *Outcome, all *gathered) error {
	if w.held == nil {
		return errUneven
	}
	rows, err := w.plan.panelOf(all)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errNoReturns
	}
	if err := w.assemble(out, all, rows); err != nil {
		return err
	}
	w.excess = w.panel.ExcessOf(w.held, all.kept.whatIsKnown())
	if err := w.market(); err != nil {
		return err
	}
	alone := w.apart()
	var beside routine.Group
	beside.Run(func() error { return alone.ofBest(out) })
	err = w.luck()
	if besideErr := beside.Wait(); err == nil {
		err = besideErr
	}
	if err == nil {
		w.join(alone)
	}
	return err
}

// apart is a weighing of the same trials that another goroutine may fill in.
func (w *weighing) apart() *weighing {
	other := *w
	other.out = &Evidence{Starts: []StartFigures{}, Regimes: []RegimeFigures{}}
	return &other
}

// ofBest looks at the best trial by itself.
func (w *weighing) ofBest(out *Outcome) error {
	w.paths()
	w.starts()
	w.regimes()
	return w.costs(out)
}

// join takes what ofBest found.
func (w *weighing) join(o *weighing) {
	w.out.Paths, w.out.Starts, w.out.Regimes, w.out.Costs = o.out.Paths, o.out.Starts, o.out.Regimes, o.out.Costs
	w.found.PathLoss, w.found.BreakEven = o.found.PathLoss, o.found.BreakEven
	for name, reason := range o.out.Undefined {
		w.out.explain(name, reason)
	}
}

// assemble makes the panel of the sampled trials and the first leaders. The returns of trials that are known are left out, but for
// those of the best one.
func (w *weighing) assemble(out *Outcome, all *gathered, rows []panelRow) error {
	p, known := w.plan, all.kept.whatIsKnown()
	w.panel = &evidence.Panel{}
	for _, row := range cutPanel(rows, p.panelSize()) {
		var returns []float64
		if row.trial == out.Leaderboard[0].TrialIndex || !known.Has(row.trial) {
			returns = row.values()
		}
		w.panel.Trials, w.panel.Returns = append(w.panel.Trials, row.trial), append(w.panel.Returns, returns)
	}
	w.panel.KnownAs = slices.Clone(w.panel.Trials)
	for i := range min(leadersPanel, len(out.Leaderboard)) {
		trial := out.Leaderboard[i].TrialIndex
		point := make(backtest.Params, len(p.names))
		all.cols.point(trial, point)
		if i == 0 {
			w.best = point
		}
		if w.panel.Row(trial) >= 0 {
			continue
		}
		var own []float64
		if i == 0 || !known.Has(leaderAs(trial)) {
			returns, err := p.returnsOf(w.traders, point, false)
			if err != nil {
				return err
			}
			own = slices.Clone(returns)
		}
		w.panel.Trials, w.panel.Returns = append(w.panel.Trials, trial), append(w.panel.Returns, own)
		w.panel.KnownAs = append(w.panel.KnownAs, leaderAs(trial))
	}
	w.row = w.panel.Row(out.Leaderboard[0].TrialIndex)
	if len(w.held) != w.panel.Periods() {
		return errUneven
	}
	return nil
}

// market compares the best trial with buy-and-hold.
func (w *weighing) market() error {
	w.compare()
	m := &w.out.Market
	if !w.plan.hasSplit() || w.plan.spec.selectsOOS() {
		return nil
	}
	held := w.plan.held(true)
	returns, err := w.plan.returnsOf(w.traders, w.best, true)
	if err != nil || len(held) != len(returns) {
		return err
	}
	oos, _ := evidence.Regress(returns, held)
	w.found.OutOfSample, w.found.OutPeriods = oos.AlphaSR, len(returns)
	m.ExcessSharpeOOS = defined(oos.AlphaSR * w.year)
	m.GapError = defined(w.year * math.Sqrt(1/float64(len(w.held))+1/float64(len(held))))
	return nil
}

// compare sets what the returns have to do with those of buy-and-hold over the same periods.
func (w *weighing) compare() {
	hold := evidence.Describe(w.held)
	own, excess := evidence.Regress(w.panel.Returns[w.row], w.held)
	perYear := w.found.PeriodsPerYear
	m := &w.out.Market
	m.DriftPct, m.HoldSharpe = defined(100*hold.Mean*perYear), defined(hold.SR()*w.year)
	m.AlphaPct, m.Beta = defined(100*own.Alpha*perYear), defined(own.Beta)
	m.InformationRatio = defined(own.InformationRatio * w.year)
	m.UpCapture, m.DownCapture = defined(own.UpCapture), defined(own.DownCapture)
	m.ExcessSharpe, m.ExcessPSR = defined(own.AlphaSR*w.year), defined(evidence.Describe(excess).PSR(0))
	w.found.SR, w.found.Periods = own.AlphaSR, len(w.held)
}

// luck asks how well the best of so many trials does without skill.
func (w *weighing) luck() error {
	l := &w.out.Luck
	groups := evidence.Cluster(w.excess, w.row)
	l.Sampled, l.Groups, l.Effective = groups.Sampled, len(groups.Of), groups.Trials(max(l.Trials, groups.Sampled))
	// A sample of independent trials has a lower best than all of them: Šidák's correction for the rest.
	more := max(1, float64(l.Effective)/float64(max(l.Groups, 1)))
	level := evidence.MaxPValue
	if more > 1 {
		level = 1 - portable.Pow(1-evidence.MaxPValue, 1/more)
	}
	c, err := w.resample(*w.plan.spec.Seed, level)
	if err != nil {
		return err
	}
	for _, row := range c.Survivors {
		l.Survivors = append(l.Survivors, w.excess.Trials[row])
	}
	w.found.PValue = 1 - portable.Pow(1-c.SPA, more)
	l.PValue = defined(w.found.PValue)
	sr0 := evidence.ExpectedMaxSharpe(groups.Variance(len(w.held)), l.Effective)
	l.SR0 = defined(sr0 * w.year)
	w.found.DSR = evidence.Describe(w.excess.Returns[w.row]).PSR(sr0)
	w.out.Market.ExcessDSR = defined(w.found.DSR)
	w.found.Statistic, w.found.Critical = c.Statistic, c.Critical
	if c.Best == w.row && c.Statistic > 0 {
		w.found.Error = w.found.SR * math.Sqrt(float64(len(w.held))) / c.Statistic
	}
	return nil
}

// resample runs the bootstrap tests of the excess; level is that of the trials in the panel.
func (w *weighing) resample(seed uint64, level float64) (*evidence.Comparison, error) {
	c, err := evidence.Compare(w.excess, evidence.Options{
		Resamples: resamples, Level: level, Seed: seed,
		Block: max(w.excess.PanelBlockLength(), portable.Cbrt(float64(len(w.held)))/2),
	})
	if err != nil {
		return nil, err
	}
	l := &w.out.Luck
	l.Block, l.Resamples = defined(c.Block), c.Resamples
	l.SPA, l.SPALower, l.SPAUpper, l.RealityCheck = defined(c.SPA), defined(c.SPALower), defined(c.SPAUpper), defined(c.RealityCheck)
	return c, nil
}

// paths cross-validates the choice.
func (w *weighing) paths() {
	memory := w.memory()
	// A long memory would leave nothing to choose on: at most a quarter of a group is left out.
	result, err := evidence.CrossValidate(w.excess, min(memory, len(w.held)/40))
	if err != nil {
		w.out.explain("paths", err.Error())
		return
	}
	f := &PathFigures{Median: result.Median * w.year, Worst: result.Worst * w.year, Loss: result.Loss, Embargo: result.Embargo, Memory: memory}
	for _, ratio := range result.SR {
		f.Sharpe = append(f.Sharpe, ratio*w.year)
	}
	w.out.Paths, w.found.PathLoss = f, result.Loss
}

// memory is how many periods the best trial looks back or stays in a trade, whichever is more.
func (w *weighing) memory() int {
	p := w.plan
	bars := backtest.Warmup(p.history, p.strategy, w.best, p.spec.Stops)
	part := p.part(&p.spec, false)
	w.traders[0].Prepare(w.best)
	trades, _ := w.traders[0].Trace(part)
	for _, t := range trades {
		bars = max(bars, t.ExitBar-t.EntryBar)
	}
	return (min(bars, part.Len())*len(w.held) + part.Len() - 1) / part.Len()
}

func (e *Evidence) explain(name, reason string) {
	if e.Undefined == nil {
		e.Undefined = map[string]string{}
	}
	e.Undefined[name] = reason
}

// StartFigures are those of the best trial when its history begins later.
type StartFigures struct {
	From         time.Time `json:"from"`
	Sharpe       *float64  `json:"sharpe"`
	ExcessSharpe *float64  `json:"excess_sharpe"`
}

// starts measures the best trial from later and later starts, up to half of the part.
func (w *weighing) starts() {
	part := w.plan.part(&w.plan.spec, false)
	w.startsAt(func(tenth int) int64 { return w.plan.bars.Time[part.From+part.Len()*tenth/10] })
}

// startsAt measures from each tenth on, up to half; at is the time of a tenth.
func (w *weighing) startsAt(at func(tenth int) int64) {
	returns, excess := w.panel.Returns[w.row], w.excess.Returns[w.row]
	for tenth := range 6 {
		from := len(returns) * tenth / 10
		if len(returns)-from < 20 {
			return
		}
		w.out.Starts = append(w.out.Starts, StartFigures{
			From:         time.UnixMicro(at(tenth)).UTC(),
			Sharpe:       defined(evidence.Describe(returns[from:]).SR() * w.year),
			ExcessSharpe: defined(evidence.Describe(excess[from:]).SR() * w.year),
		})
	}
}
