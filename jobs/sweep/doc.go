// Package sweep searches a strategy's parameters: which sets to try, how each is scored and gated,
// how the trials rank, and how likely it is that the winner is luck. It is pure: no I/O, no clock,
// no goroutine.
//
// A Spec is checked without bars (Check, Size) and becomes a Plan with them. The plan's trials are
// numbered from 0; a trial's parameters depend on its number and the spec only. Shards cut the
// numbers into ranges that any worker may run in any order, and Collect puts their results together:
// the Outcome is the same, byte for byte, however the trials were cut.
//
// # Search
//
//   - grid: every point of the space in order, the last parameter fastest; above n_trials a seeded
//     sample of them without replacement.
//   - random: seeded draws; without replacement where every parameter has steps or a list.
//   - sobol: a Sobol sequence (Joe & Kuo 2008) under Owen scrambling seeded by the spec. Where
//     parameters have steps, several of its points can fall on one; a space that has no more points
//     than n_trials is run whole.
//   - tpe: tree-structured Parzen estimator, in rounds. A first round of random trials is followed by
//     batches that are each proposed from the in-sample scores of all trials before; gates are left out,
//     as they look out of sample. What is proposed depends on the scores and the seed alone.
//
// Pruning by successive halving works with every search but tpe. Rung by rung trials run on more of the
// last bars of the part that selects, and 1/eta of them continue; the last rung runs what is left as every
// trial runs without pruning. A pruned trial is skipped and keeps its score of the rung apart.
//
// # Trials
//
// The windows are half-open: the first n − n_oos bars are in sample, the last n_oos =
// floor(n·oos_ratio) out of sample. Without a split every bar is in sample. A TrainTest names both by
// time instead, and its trials see no bar but its own and those before it that indicators warm up on.
// A trial trades both from flat and is
//
//   - skipped, when it fails a gate out of sample (in sample without a split, and in a TrainTest,
//     whose test part does not select), or when its objective
//     is undefined on the part that selects;
//   - failed, when the strategy panics;
//   - completed otherwise: ranked by score, ties by parameters in the strategy's order, then by
//     number.
//
// # Several datasets
//
// A tune may run over up to 50 datasets with bars of one length. Each parameter set trades each
// dataset by itself, from the same cash, on the split of that dataset's own bars. The trial's score
// is the mean, median or worst of its scores on the datasets, and so is every other figure of its
// own kind (the worst drawdown is the highest); gates look at those. A score that is undefined on one dataset is
// undefined. The evidence takes no more data for it than the shortest dataset has: datasets move
// together. PBO and DSR compare trials by the sums over all datasets and by the aggregated Sharpe ratio.
// A leader's part on each dataset is in its entry.
//
// # Evidence of overfitting
//
// All of it is about the window that selects, in per-period Sharpe ratios (SR) that are not
// annualised, and counts every trial that was run, gated or not.
//
//   - PSR, the probability that the winner's true SR is above 0, and DSR, that it is above SR₀, the
//     best SR to be expected of N trials without skill: Bailey & López de Prado, "The Deflated
//     Sharpe Ratio", J. Portfolio Management 40(5), 2014.
//   - PBO, the probability that the best trial in sample is below the median out of it, by
//     combinatorially symmetric cross-validation over 16 blocks: Bailey, Borwein, López de Prado &
//     Zhu, "The Probability of Backtest Overfitting", J. Computational Finance 20(4), 2017. Over
//     1,000 trials a fixed sample of about that many, chosen by number, stands for all.
//   - Stability, the mean score of the trials around the winner over the winner's own, where a
//     neighbour without a score counts 0. In a space of steps the neighbours are the trials one step
//     away along one parameter; elsewhere the 2·d nearest, every parameter scaled to [0,1].
//
// In a pruned tune a twentieth of the trials, chosen by number, run on the whole part that selects
// whether they are pruned or not: the variance behind SR₀ and PBO are theirs, as what survived would
// flatter both. N is all trials.
//
// # Walk-forward
//
// WFOConfig cuts the bars into folds [train_start, train_end) [train_end, test_end), rolling by
// step_days or anchored at the start. Each fold is a tune on its TrainTest. A candidate is a
// parameter set in the in-sample top k of any fold; it is then scored on the test window of every
// successful fold, as a mean over only those that chose it would be survivorship. Its coverage is
// the share of folds whose top it is in; from 0.6 on it is eligible, and
//
//	selection = (mean − 0.5·stddev − 0.3·max(0, −worst)) · coverage
//
// over its out-of-sample scores, stddev that of a sample, an undefined score counting 0. The stitched
// curve trades each fold's winner from the end of its training to the beginning of the next
// successful fold's test window; a fold that selected nothing stays in cash. Walk-forward efficiency
// is the yearly return of the winners out of sample over that in training (Pardo, "The Evaluation and
// Optimization of Trading Strategies", 2008).
//
// Over several datasets folds lie in the time that all have in common, and a fold is one tune over all of
// them. Each dataset has a stitched curve of its own; together they are one account with an equal part in
// each, shared out again at the end of every day on which any of them ends a period, and a dataset that
// ends none on a day earns nothing on it.
//
// # Regime
//
// A Regime describes the market at the end of the in-sample part, from its last 200 bars
// alone: six figures, tags where one stands out, and a fingerprint that equal figures share. It
// finds past tunes made in a market like today's, and holds nothing of the bars that those were
// judged on.
package sweep
