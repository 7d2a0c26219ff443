package sweep

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

// seedsWanted are the first seed and the number of seeds of each row of the tables; `make evidence` asks for
// 1,000 from 0. A run of 100 from 900 on continues one of 900.
func seedsWanted(t *testing.T, usual int) (first uint64, seeds int) {
	t.Helper()
	of := func(name string, otherwise int) int {
		text := os.Getenv(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return uint64(of("MILLRACE_EVIDENCE_FIRST", 0)), of("MILLRACE_EVIDENCE_SEEDS", usual)
}

// barsOf makes daily bars of log returns.
func barsOf(tb testing.TB, rng *rand.Rand, returns []float64) *backtest.Bars {
	tb.Helper()
	n := len(returns)
	at, columns := make([]int64, n), [5][]float64{}
	for k := range columns {
		columns[k] = make([]float64, n)
	}
	price := 100.0
	for i, r := range returns {
		open := price
		price *= math.Exp(r)
		at[i] = int64(i) * 86_400_000_000
		columns[0][i], columns[3][i], columns[4][i] = open, price, 1000
		columns[1][i] = max(open, price) * (1 + 0.002*rng.Float64())
		columns[2][i] = min(open, price) * (1 - 0.002*rng.Float64())
	}
	bars, err := backtest.NewBars(at, columns[0], columns[1], columns[2], columns[3], columns[4])
	require.NoError(tb, err)
	return bars
}

// market draws n log returns.
type market func(rng *rand.Rand, n int) []float64

func independent(drift float64, draw func(rng *rand.Rand) float64) market {
	return func(rng *rand.Rand, n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = drift/252 + 0.01*draw(rng)
		}
		return out
	}
}

func normal(rng *rand.Rand) float64 { return rng.NormFloat64() }

// student3 is Student's t with 3 degrees of freedom at a deviation of 1.
func student3(rng *rand.Rand) float64 {
	var squares float64
	for range 3 {
		z := rng.NormFloat64()
		squares += z * z
	}
	return rng.NormFloat64() / math.Sqrt(squares/3) / math.Sqrt(3)
}

// garch is GARCH(1,1) with α 0.09 and β 0.90 at a deviation of 1 %.
func garch(rng *rand.Rand, n int) []float64 {
	out, variance := make([]float64, n), 1e-4
	for i := range out {
		out[i] = math.Sqrt(variance) * rng.NormFloat64()
		variance = 1e-6 + 0.09*out[i]*out[i] + 0.90*variance
	}
	return out
}

// slowVolatility has a log volatility with an autocorrelation of 0.98.
func slowVolatility(rng *rand.Rand, n int) []float64 {
	out, level := make([]float64, n), 0.0
	for i := range out {
		level = 0.98*level + 0.1*rng.NormFloat64()
		out[i] = 0.01 * math.Exp(level) * rng.NormFloat64()
	}
	return out
}

// trending drifts up or down by size a day, 40 days at a time on average.
func trending(size float64) market {
	return func(rng *rand.Rand, n int) []float64 {
		out, sign := make([]float64, n), 1.0
		for i := range out {
			if rng.Float64() < 1.0/40 {
				sign = -sign
			}
			out[i] = sign*size + 0.01*rng.NormFloat64()
		}
		return out
	}
}

// searched is a grid of crosses; mirrored ones with fast above slow are in it unless constrained.
func searched(side backtest.Side, constrained bool) Spec {
	lengths := []float64{5, 10, 20, 30, 50, 80, 120}
	spec := Spec{
		StrategyName: "sma_cross", Side: side, OOSRatio: new(0.3),
		ParamSpace: map[string]Range{"fast": {Values: lengths}, "slow": {Values: lengths}},
		Gates:      GateLimits{MaxDrawdownPct: new(100.0), MinTrades: new(1)},
		Account:    AccountSpec{Commission: new(backtest.Commission(0.0002)), WholeUnits: new(false)},
	}
	if constrained {
		spec.Constraints = []string{"fast < slow"}
	}
	return spec
}

func verdictOf(tb testing.TB, spec Spec, bars *backtest.Bars) *Evidence {
	tb.Helper()
	out := collect(tb, plan(tb, spec, bars), 1000)
	if out.Evidence == nil {
		return &Evidence{Judgement: evidence.Judgement{Verdict: evidence.Luck}}
	}
	return out.Evidence
}

// printRow prints a row of a table as soon as it is measured, so that a run that is cut short has what it
// came to; each row is a subtest of its own, which runs by its name alone.
func printRow(name string, seeds int, sharpe string, found map[evidence.Verdict]int) {
	fmt.Fprintf(os.Stderr, "| %s | %d | %s%d | %d | %d | %d |\n", name, seeds, sharpe,
		found[evidence.Robust], found[evidence.Fragile], found[evidence.Luck], found[evidence.Undecided])
}

// A market that nothing predicts may be called robust in at most 5 % of the seeds.
func TestNoiseIsRarelyCalledRobust(t *testing.T) {
	first, seeds := seedsWanted(t, 6)
	fmt.Fprintln(os.Stderr, "| market | space | bars | seeds | robust | fragile | luck | undecided |")
	for _, c := range []struct {
		name   string
		market market
		spec   Spec
	}{
		{"independent normal", independent(0, normal), searched(backtest.SideBoth, true)},
		{"Student t(3)", independent(0, student3), searched(backtest.SideBoth, true)},
		{"GARCH(1,1)", garch, searched(backtest.SideBoth, true)},
		{"drift 10 % a year", independent(0.10, normal), searched(backtest.SideLong, true)},
		{"drift 15 % a year", independent(0.15, normal), searched(backtest.SideLong, true)},
		{"slow volatility", slowVolatility, searched(backtest.SideBoth, false)},
	} {
		t.Run(c.name, func(t *testing.T) {
			const bars = 2000
			found := map[evidence.Verdict]int{}
			for seed := range uint64(seeds) {
				rng := rand.New(rand.NewPCG(first+seed, 16))
				found[verdictOf(t, c.spec, barsOf(t, rng, c.market(rng, bars))).Verdict]++
			}
			printRow(fmt.Sprintf("%s | %s, %d trials | %d", c.name, c.spec.Side, size(t, c.spec), bars), seeds, "", found)
			// Three standard deviations above 5 %: with 1,000 seeds 71.
			most := 0.05*float64(seeds) + 3*math.Sqrt(0.05*0.95*float64(seeds))
			require.LessOrEqual(t, float64(found[evidence.Robust]), most)
		})
	}
}

func size(tb testing.TB, spec Spec) int {
	tb.Helper()
	n, errs := Size(spec)
	require.Empty(tb, errs)
	return n
}

// An edge that is there must be found, with a mirrored space as without.
func TestPlantedEdgesAreFound(t *testing.T) {
	first, seeds := seedsWanted(t, 4)
	fmt.Fprintln(os.Stderr, "| drift a day | space | bars | seeds | true Sharpe of the winner | robust | fragile | luck | undecided |")
	drifts, lengths := []float64{0.001, 0.002, 0.003, 0.004}, []int{2000, 5000, 20_000}
	if os.Getenv("MILLRACE_EVIDENCE_SEEDS") == "" {
		drifts, lengths = drifts[2:3], lengths[1:2] // what the check below is about
	}
	for _, n := range lengths {
		for _, drift := range drifts {
			for _, space := range []string{"with constraint", "mirrored"} {
				t.Run(fmt.Sprintf("%d bars, %.1f %%, %s", n, 100*drift, space), func(t *testing.T) {
					spec := searched(backtest.SideBoth, space == "with constraint")
					sharpe, found := plantedEdge(t, spec, drift, n, first, seeds)
					printRow(fmt.Sprintf("%.1f %% | %s | %d", 100*drift, space, n), seeds, fmt.Sprintf("%.2f | ", sharpe), found)
					if sharpe >= 2 && n >= 5000 {
						require.GreaterOrEqual(t, float64(found[evidence.Robust]), 0.8*float64(seeds)-0.5)
					}
				})
			}
		}
	}
}

// plantedEdge counts the verdicts on bars with trends of that drift a day, and returns the mean true Sharpe
// ratio of the winners.
func plantedEdge(tb testing.TB, spec Spec, drift float64, bars int, first uint64, seeds int) (sharpe float64, found map[evidence.Verdict]int) {
	tb.Helper()
	found = map[evidence.Verdict]int{}
	for seed := first; seed < first+uint64(seeds); seed++ {
		rng := rand.New(rand.NewPCG(seed, 17))
		out := collect(tb, plan(tb, spec, barsOf(tb, rng, trending(drift)(rng, bars))), 1000)
		if out.Evidence == nil {
			found[evidence.Luck]++
			continue
		}
		found[out.Evidence.Verdict]++
		sharpe += trueSharpe(tb, spec, drift, seed, out.BestParams) / float64(seeds)
	}
	return sharpe, found
}

// trueSharpe is that of a parameter set on 20,000 bars of the market that no trial has seen.
func trueSharpe(tb testing.TB, spec Spec, size float64, seed uint64, params map[string]float64) float64 {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 18))
	p := plan(tb, spec, barsOf(tb, rng, trending(size)(rng, 20_000)))
	values, errs := backtest.CheckParams(p.strategy, params)
	require.Empty(tb, errs)
	runner := p.newRunner()
	runner.Prepare(values)
	var m backtest.Metrics
	runner.Simulate(backtest.Window{From: 0, To: 20_000}, &m)
	return m.Sharpe
}
