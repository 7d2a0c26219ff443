package main

import (
	"errors"
	"fmt"
	"strings"

	"millrace/jobs"
)

// retentionFlags are how many days each retention job keeps what it deletes after. Workers write them into the database,
// where pg_cron reads them too: all workers of a fleet have the same, or those of the last to start hold.
type retentionFlags struct {
	TuneTrials    int `name:"retention-tune-trials" env:"RETENTION_TUNE_TRIALS" default:"180" placeholder:"DAYS" help:"Days that the trials of an ended tune are kept; its summary, leaderboard and manifest stay. The same for all workers, here and below."`
	Tunes         int `name:"retention-tunes" env:"RETENTION_TUNES" default:"1095" placeholder:"DAYS" help:"Days that an ended tune is kept, unless it is archived or tagged keep."`
	WalkForwards  int `name:"retention-walk-forwards" env:"RETENTION_WALK_FORWARDS" default:"1095" placeholder:"DAYS" help:"Days that an ended walk-forward is kept with its folds, unless it is archived or tagged keep."`
	RunPlans      int `name:"retention-run-plans" env:"RETENTION_RUN_PLANS" default:"1095" placeholder:"DAYS" help:"Days that an ended run plan is kept, unless it is archived or pinned; then its variants are tunes like others."`
	BacktestRuns  int `name:"retention-backtest-runs" env:"RETENTION_BACKTEST_RUNS" default:"365" placeholder:"DAYS" help:"Days that a single backtest is kept, unless it is archived."`
	TradeEvents   int `name:"retention-trade-events" env:"RETENTION_TRADE_EVENTS" default:"90" placeholder:"DAYS" help:"Days that breadcrumbs of run plans are kept, unless they are pinned."`
	JobRuns       int `name:"retention-job-runs" env:"RETENTION_JOB_RUNS" default:"30" placeholder:"DAYS" help:"Days that jobs which failed or were canceled are kept; completed ones are kept for one."`
	MatchRuns     int `name:"retention-match-runs" env:"RETENTION_MATCH_RUNS" default:"180" placeholder:"DAYS" help:"Days that resolved matches are kept."`
	OpenGaps      int `name:"retention-open-gaps" env:"RETENTION_OPEN_GAPS" default:"730" placeholder:"DAYS" help:"Days that an unresolved gap is kept after it was last asked for."`
	JobEvents     int `name:"retention-job-events" env:"RETENTION_JOB_EVENTS" default:"7" placeholder:"DAYS" help:"Days that the event log is kept: how far back streams and webhooks resume."`
	Ingestions    int `name:"retention-ingestions" env:"RETENTION_INGESTIONS" default:"180" placeholder:"DAYS" help:"Days that ended ingestions are listed; their documents stay."`
	Reembeddings  int `name:"retention-reembeddings" env:"RETENTION_REEMBEDDINGS" default:"365" placeholder:"DAYS" help:"Days that ended re-embeddings are listed."`
	Deletions     int `name:"retention-deletions" env:"RETENTION_DELETIONS" default:"90" placeholder:"DAYS" help:"Days that completed deletions are listed."`
	APIKeys       int `name:"retention-api-keys" env:"RETENTION_API_KEYS" default:"365" placeholder:"DAYS" help:"Days that a key is listed after it was revoked or expired."`
	AdminTokens   int `name:"retention-admin-tokens" env:"RETENTION_ADMIN_TOKENS" default:"365" placeholder:"DAYS" help:"Days that a named admin's token is listed after it was revoked or expired."`
	ErasedScripts int `name:"retention-erased-scripts" env:"RETENTION_ERASED_SCRIPTS" default:"30" placeholder:"DAYS" help:"Days that a deleted script is kept once no result names it any more."`
	RetentionLog  int `name:"retention-retention-log" env:"RETENTION_RETENTION_LOG" default:"365" placeholder:"DAYS" help:"Days that the runs of retention jobs are listed."`
	AuditLog      int `name:"retention-audit-log" env:"RETENTION_AUDIT_LOG" default:"1095" placeholder:"DAYS" help:"Days that the audit log is kept, 90 at least."`
}

// windows are the settings by the names of the jobs. Idempotency keys have none: each says itself until when it is kept.
func (f retentionFlags) windows() map[string]int {
	return map[string]int{
		"tune_trials": f.TuneTrials, "tunes": f.Tunes, "walk_forwards": f.WalkForwards, "run_plans": f.RunPlans,
		"backtest_runs": f.BacktestRuns, "trade_events": f.TradeEvents, "job_runs": f.JobRuns, "match_runs": f.MatchRuns,
		"open_gaps": f.OpenGaps, "job_events": f.JobEvents, "ingestions": f.Ingestions, "reembeddings": f.Reembeddings,
		"deletions": f.Deletions, "api_keys": f.APIKeys, "admin_tokens": f.AdminTokens, "erased_scripts": f.ErasedScripts,
		"retention_log": f.RetentionLog, "audit_log": f.AuditLog,
	}
}

// mostKept is a hundred years: to keep something permanently is to set it to this.
const mostKept = 36_500

func (f retentionFlags) check() error {
	var faults []error
	windows := f.windows()
	for _, job := range jobs.Retentions() {
		if days, ok := windows[job.Name]; ok && (days < job.Least || days > mostKept) {
			faults = append(faults, fmt.Errorf("--retention-%s (RETENTION_%s): %d is not from %d to %d days",
				strings.ReplaceAll(job.Name, "_", "-"), strings.ToUpper(job.Name), days, job.Least, mostKept))
		}
	}
	return errors.Join(faults...)
}
