package console

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// definition says what a figure of the tune page means. Its ID is that of the check, where it is one.
type definition struct{ ID, Name, Text string }

func definitions() []definition {
	return []definition{
		{"verdict", "Verdict", "Robust: the best trial does better than luck explains and passes every other check. Fragile: it does better than luck explains but fails another check. Luck: no test finds an edge, and either the best of so many trials does as well without skill more often than not, or a useful edge would have been found. Undecided: the tests disagree, could not be run, or have too few bars."},
		{"excess", "Excess over buy-and-hold", "What is left of the trial's returns after its exposure (beta) times those of buy-and-hold is taken out. A strategy that only holds a rising market has none."},
		{"spa", "Superior predictive ability", "Hansen's test (2005) on the excess of all trials: the probability that the best of them shows as much when none is better than buy-and-hold. At most 0.05."},
		{"excess_dsr", "Deflated Sharpe of the excess", "The probability that the true Sharpe ratio of the excess is above what the best of so many trials shows by luck (Bailey and López de Prado 2014); like or opposite trials count once. It is the one of the verdict: at least 0.95. Of a walk-forward, which is one trial, nothing is deflated and it is the probability that the ratio is above 0."},
		{"dsr", "Deflated Sharpe of own returns", "The same probability of the trial's own returns, whatever the market did, with every trial counted as independent. A strategy that holds a rising market can have a high one, and a mirrored grid lowers it; no verdict reads it."},
		{"psr", "Probabilistic Sharpe", "The probability that the true Sharpe ratio is above 0, given length, skew and kurtosis of the returns."},
		{"out_of_sample", "Out of sample", "The Sharpe ratio of the excess on bars that no trial was chosen by. Above 0."},
		{"decay", "Decay", "By how many standard errors the ratio falls out of sample. At most 2.33, unless what is left is significant by itself."},
		{"permutation", "Permutations", "The same search on the same bars in a random order, which keeps their drift, gaps and shapes: the share of such searches whose best trial scores as well (Masters 2018). At most 0.05. Only where the tune asks for it."},
		{"paths", "Cross-validation paths", "Combinatorial purged cross-validation: the best trial on eight tenths of the bars is followed on the other two, for all 45 pairs. That makes nine paths; at most a quarter may lose."},
		{"fold_loss", "Folds that lose", "Of a walk-forward: the share of the folds whose choice does not beat buy-and-hold of the same exposure on its test window. At most half."},
		{"stability", "Stability", "The mean score of the trials next to the best one over its own: near 1 on a plateau, near 0 on a spike. At least 0.3."},
		{"costs", "Costs", "The multiple of the costs charged at which the excess is gone. At least 2."},
		{"pbo", "Overfitting, PBO", "The share of 12,870 splits in which the trial that is best on one half is below the median on the other (Bailey, Borwein, López de Prado and Zhu 2017)."},
		{"slope", "Slope", "That of the out-of-sample on the in-sample Sharpe ratio of the chosen trials, over the splits of PBO. Below 0, what is better in sample is worse out of sample."},
		{"oos_loss", "P(loss)", "The share of the splits of PBO in which the trial chosen on one half loses money on the other."},
		{"score", "Score", "The tune's objective on the part of the bars that ranks trials: in sample, unless the tune selects out of sample or has no split. Beside it is the same on the part out of sample."},
		{"return", "Return", "What the account gained over the part, in percent of what it began with, after costs."},
		{"drawdown", "Drawdown", "The deepest fall of the account from a peak that it had reached, in percent of that peak, by the closes of bars."},
		{"trades", "Trades", "Positions that were closed, the one that the last bar closes among them."},
		{"parameter", "Parameter", "An input of the strategy that the tune searches, with the trial's value of it."},
		{"heat", "Parameter heat map", "One cell for each pair of values, or of ranges of values, of two parameters: the chosen figure of the trials in it, by colour. A broad plateau is a better sign than a single bright cell."},
		{"scatter", "In sample and out of sample", "Each trial by its score on the bars that rank it and on those that do not. Where the cloud does not rise from left to right, better in sample says nothing about later."},
		{"equity", "Equity of the best trial", "The account's value at the close of each bar, with costs; out of sample it begins again with what there was. Buy and hold is the same account in the instrument from the first bar on."},
		{"history", "Best so far", "The best score of the trials that met the limits, in the order in which they ran. A line that rises to the end says that more trials would find more, in sample."},
		{"slices", "Score over each parameter", "Every trial's score over one of its parameters, whatever the others are."},
		{"parallel", "Parallel coordinates", "One axis for each parameter and one for the score; a line is a trial. The best lines run together where only a part of a parameter's range does well."},
		{"completed", "Completed", "Trials with a score that met the limits: they are ranked."},
		{"skipped", "Skipped", "Trials without a rank: a limit excludes them, their score is undefined, or pruning ended them early. The reasons are in the configuration below."},
		{"failed", "Failed", "Trials on whose parameters the strategy ended with an error."},
		{"gap", "Overfit gap", "The score in sample less that out of sample. It is warned about above 0.3 when chance does not explain it: more than 1.645 standard errors."},
		{"importance", "Parameter importance", "Main effects of a functional analysis of variance (Sobol 1993; Hutter, Hoos and Leyton-Brown 2014): how much of the variance of all scores lies between the means at a parameter's values, less what chance makes of few trials. The shares add up to one over the parameters; what parameters do only together is in none of them."},
		{"groups", "Independent trials", "Trials whose returns correlate by 0.5 or more, of either sign, form a group; the number of groups stands for the number of trials."},
		{"survivors", "Survivors", "Trials that beat buy-and-hold each by itself, with a probability of at most 5 % that a single one of all trials does so by luck (Romano and Wolf 2005)."},
		{"power", "Power", "The Sharpe ratio of the excess that these bars and this many trials find four times in five. A true edge below it may go unseen."},
	}
}

// Definitions handles GET /admin/definitions.
func (p *Pages) Definitions(c echo.Context) error {
	v, err := p.page(c, "", "Definitions")
	if err != nil {
		return err
	}
	v.Data = definitions()
	return p.render(c, http.StatusOK, "definitions", v)
}

// checkID is the definition of a check of the verdict.
func checkID(name string) string {
	if name == "dsr" { // the name of another figure too
		return "excess_dsr"
	}
	return name
}

// checkName is what a check of the verdict is called on pages.
func checkName(c types.EvidenceCheck) string {
	if c.Title != "" {
		return c.Title
	}
	id := checkID(c.Name)
	for _, d := range definitions() {
		if d.ID == id {
			return d.Name
		}
	}
	return id
}
