// Package wfo works the judging steps of a walk-forward. Its folds are tunes and worked as such; once
// the last of them has ended, the candidates are gathered, scored fold by fold, and judged.
package wfo
