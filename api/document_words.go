package api

import (
	"net/http"
	"strings"
)

// described says who may call a route and what its traits mean to the caller.
func (r route) described() string {
	var said []string
	switch r.access {
	case public:
		said = append(said, "Needs no key.")
	case admin:
		said = append(said, "Needs the admin token or a session of the console.")
	case ticketed:
		said = append(said, "Needs the admin token, a session of the console or a ticket.")
	default:
		said = append(said, "Needs a key of the workspace; the role "+string(r.access)+" suffices.")
	}
	if r.traits&creates != 0 {
		said = append(said, "Repeating it with the same idempotency key and body has no further effect and gives the same answer.")
	}
	if r.about.media == eventStream {
		said = append(said, "The stream resumes after the id that Last-Event-ID or cursor names. Its events are in data: cursor, topic, type, workspace_id, entity_id, at and payload; reset, cursor and end are reports on the stream itself.")
	}
	if r.about.tables {
		said = append(said, "The answer is JSON, CSV, Parquet or an Arrow stream.")
	}
	return strings.Join(said, " ")
}

// failures are the errors that a route answers with, and when.
func (r route) failures() map[int]string {
	all := map[int]string{http.StatusServiceUnavailable: "The database is away for a moment; Retry-After says when to try again."}
	if r.access != public {
		all[http.StatusUnauthorized] = "The key, token or session is missing, unknown, expired or revoked."
		all[http.StatusForbidden] = "The role of the key does not allow this."
	}
	sends := r.about.body != nil || r.about.form != nil
	if sends || r.access != public {
		all[http.StatusBadRequest] = "A parameter, header or body is malformed or unknown: the field is named."
	}
	if strings.Contains(r.path, ":") {
		all[http.StatusNotFound] = "The workspace has nothing under that id or name."
	}
	if sends {
		all[http.StatusRequestEntityTooLarge] = "The body is over the limit."
		all[http.StatusUnprocessableEntity] = "A value is not allowed: the field and its limit are named."
	}
	if r.traits&creates != 0 || strings.HasSuffix(r.path, "/cancel") || r.about.dry != nil {
		all[http.StatusConflict] = "It has ended, others depend on it, its name is taken, or a request with this idempotency key is still running."
	}
	if r.traits&(creates|queries|login) != 0 {
		all[http.StatusTooManyRequests] = "Over a limit: Retry-After says when to try again."
	}
	return all
}

// commonParams say what parameters of a name are.
func commonParams() map[string]string {
	return map[string]string{
		"limit": "most items of the answer", "cursor": "where to continue: the id of the last event, or next_cursor", "status": "only those in this status",
		"strategy": "only those of this strategy", "wfo_id": "only the folds of this walk-forward", "sort": "by index, or best first", "objective": "the objective that scores are of",
		"dataset": "only those on this dataset, by id or name", "min_trades": "only those with so many trades", "leaderboard": "most entries of the leaderboard",
		"candidates": "most candidates", "workspace_id": "only those of this workspace", "kind": "only those of this kind", "job_name": "only those of this job",
		"name": "only the one of this name", "source_type": "only sources of this type", "document_id": "only those of this document", "title": "only those whose title has this text",
		"after": "where to continue: next_cursor of the page before", "token": "of the invitation or session",
		"versions": "one or all", "q": "only those that have this text", "tag": "only those with this tag", "ids": "only these, separated by commas",
		"state": "only those in this state",
	}
}

// commonMembers say what members of a name are, wherever they are.
func commonMembers() map[string]string {
	return map[string]string{
		"tune_id": "id of the tune", "wfo_id": "id of the walk-forward", "run_id": "id of the run", "run_plan_id": "id of the run plan", "dataset_id": "id of the dataset",
		"document_id": "id of the document", "job_id": "id of the ingestion", "workspace_id": "id of the workspace", "key_id": "id of the key", "strategy_id": "id of the strategy",
		"chunk_id": "id of the chunk", "reembed_id": "id of the move to another model", "name": "its name", "title": "its title", "symbol": "of the instrument",
		"timeframe": "of the bars, such as 1d or 5m", "bars": "how many bars", "from": "the first time", "to": "the last time", "sha256": "in hex, of the content",
		"created_at": "when it was made", "started_at": "when its work began; null before", "completed_at": "when it ended; null before", "status": "where it is", "error": "why it failed; null otherwise",
		"warnings": "what its reader should know", "spec": "the request, with its defaults filled in", "items": "the items of this page, in order",
		"next_cursor": "names the next page; null at the end", "params": "values by the names of the parameters", "score": "by the objective", "score_is": "by the objective, in sample",
		"score_oos": "by the objective, out of sample; null without a split", "overfit_gap": "score in sample less score out of sample", "rank": "from 1, best first",
		"trial_index": "of the trial, from 0", "n_trials": "how many trials there are", "trials_completed": "how many have ended", "share_done": "of all work, permutations included, 0 to 1", "best_score": "of the best trial so far",
		"best_trial": "its index", "best_params": "of the best trial", "trials_dropped_at": "when retention dropped its trials; null: they are there", "eta_seconds": "estimate of the time left; null when it is not known", "metrics": "its figures", "metrics_is": "figures in sample",
		"metrics_oos": "figures out of sample; null without a split", "strategy_name": "of the strategy", "dataset": "id or name of the dataset", "search_type": "how points are drawn",
		"objective_type": "what trials are ranked by", "seed": "of all that is drawn", "side": "which positions are taken", "account": "cash, costs and sizing", "stops": "protective exits; null: none",
		"gates": "what a trial must keep to be ranked", "leaderboard": "the best trials", "counts": "trials by status", "evidence": "the verdict and what it rests on", "regime": "of the market at the end of the bars",
		"message": "what is wrong", "field": "which field is at fault", "open": "price at the open", "high": "highest price", "low": "lowest price", "close": "price at the close", "volume": "traded in the bar",
		"time": "RFC 3339, UTC", "bar": "index into the dataset's bars", "equity": "in the quote currency", "size": "units of the position", "entry_price": "in the quote currency", "exit_price": "in the quote currency",
		"entry_time": "when the position opened", "exit_time": "when it closed", "entry_bar": "index of the bar in which it opened", "exit_bar": "index of the bar in which it closed", "pnl": "after commissions, in the quote currency",
		"return_pct": "in percent", "max_drawdown_pct": "in percent", "cagr_pct": "a year, in percent", "sharpe": "annualised", "sortino": "annualised", "calmar": "CAGR over the largest drawdown",
		"trades": "how many", "win_rate_pct": "in percent", "profit_factor": "gross profit over gross loss", "undefined": "the reasons of figures that are null", "url": "its address", "source_type": "what kind of source it is",
		"text": "as it was written", "reason": "why", "role": "what the key may do", "type": "which kind it is", "payload": "what the event says", "topic": "what the event is about",
		"expires_at": "when it ends; null: never", "version": "of it", "id": "its id", "currency": "of the prices, such as USD", "degraded": "whether a part was away, so that the answer is poorer",
		"rerank": "whether passages are ordered again by a model", "last_used_at": "null: never", "revoked_at": "null while it holds", "reason_code": "why it is degraded; null when it is not",
		"total": "of all parts", "intrabar_policy": "the order of stop and target inside one bar", "tokens": "its length in tokens", "time_zone": "IANA name", "citations": "the passages that marks stand for",
		"latency_ms": "milliseconds", "train_start": "first time of the training window", "train_end": "end of the training window, and begin of the test window", "test_end": "end of the test window",
		"wfo_config": "how it walks", "limits": "limits of its own; null takes the server's", "tune_cap": "tunes that run at once", "source": "the source, as it was sent", "objective_params": "of the objective",
		"cash": "starting equity, in the quote currency", "commission": "fraction of traded value, or the name of a preset", "slippage": "fraction of the price, against the trader",
		"exclusive": "an opposite entry closes the open position first", "whole_units": "sizes are rounded down to whole units", "tags": "words for it", "pinned": "never pruned", "tick_size": "smallest price step",
		"quantity_step": "smallest step of a quantity", "point_value": "money a price move of one makes for one unit", "session": "HH:MM-HH:MM in its time zone", "author": "who wrote it", "updated_at": "when it changed last",
		"published_at": "when it was published; null when that is not known", "revision": "counts its versions", "chunks": "its passages, or how many", "chunk_count": "how many passages it has", "rows": "how many rows",
		"limit": "what is allowed", "median": "the middle one", "confidence": "from 0 to 1", "note": "in words", "reason_codes": "why, for programs", "calendar": "trading days a year", "question": "as it was asked",
		"queries_per_minute": "of the knowledge base", "submissions_per_minute": "of requests that create work", "queue_depth": "work that may wait", "trials_per_day": "trials that may be submitted from midnight UTC on", "trials_today": "trials submitted since midnight UTC", "usage": "what it has of that which quotas limit", "datasets": "how many, by name", "documents": "how many", "secret": "shown this once", "doc": "what it does",
		"dry_run": "count, and delete nothing", "batch_size": "rows deleted at once", "notes": "what its reader should know", "timings_ms": "milliseconds of each part", "vector": "its figures", "detail": "what is wrong, in words",
		"deletion_id": "id of the deletion", "deletion_ids": "of the deletions, one for each 1,000", "matched": "how many the filter finds", "changed": "how many were changed", "items_done": "how many of them are gone", "rows_deleted": "how many so far", "archived": "whether lists leave it out",
		"contents": "what there is of each kind", "active_jobs": "jobs that have not ended", "total_rows": "of all kinds", "total_bytes": "of all kinds", "deleted_by": "the admin's name, or that of the owner's key", "count": "how many there are", "bytes": "as they are stored, without indexes",
		"webhook_id": "id of the webhook", "delivery_id": "id of the message", "state": "where it is", "description": "in words", "topics": "what events are about", "types": "of events",
		"label": "a tag of what events are about", "attempts": "how many there were", "kind": "which kind it is",
		"cursor": "its place in the log", "entity_id": "what it happened to", "at": "when", "admitted": "false while it waits for a place of the workspace's cap", "folds": "the folds, in order", "fold": "its index, from 0",
	}
}
