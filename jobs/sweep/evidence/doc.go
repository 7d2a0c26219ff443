// Package evidence says how likely it is that the best of many trials is luck, from the trials'
// per-period returns over one stretch of bars. It knows numbers only: no bars, no strategies. All of
// it is deterministic: random draws come from the caller's seed.
//
// A Panel holds the returns of trials on the same periods. What the market gave to everyone who held
// it is taken out first: Regress fits r = α + β·b + e to the returns b of buy-and-hold, and the excess
// r − β·b is what a hold of the same exposure does not explain.
//
//   - BlockLength is the block length at which the stationary bootstrap keeps a series' dependence:
//     Politis & White, "Automatic block-length selection for the dependent bootstrap", Econometric
//     Reviews 23, 2004, with the correction of Patton, Politis & White, Econometric Reviews 28, 2009.
//   - Compare resamples the panel by the stationary bootstrap (Politis & Romano, "The stationary
//     bootstrap", JASA 89, 1994) and tests whether the best trial beats zero: the reality check of
//     White, "A reality check for data snooping", Econometrica 68, 2000, and the test for superior
//     predictive ability of Hansen, JBES 23, 2005. Survivors are the trials that do so each by itself,
//     with the probability of a single false one at most the level: Romano & Wolf, "Stepwise multiple
//     testing as formalized data snooping", Econometrica 73, 2005.
//   - Cluster groups trials whose returns are alike or opposite, after López de Prado & Lewis,
//     "Detection of false investment strategies using unsupervised learning methods", Quantitative
//     Finance 19, 2019: the number of groups stands for the number of trials in the deflated Sharpe
//     ratio, so that a grid with mirrored or repeated trials is judged as the grid without them.
//   - CrossValidate is combinatorial purged cross-validation: López de Prado, "Advances in Financial
//     Machine Learning", 2018, chapter 12.
package evidence
