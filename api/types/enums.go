package types

// Role is what a key may do in its workspace.
type Role string

// The roles, each of which may do all that the one before it may.
const (
	RoleViewer Role = "viewer"
	RoleMember Role = "member"
	RoleAdmin  Role = "admin"
	RoleOwner  Role = "owner"
)

// TuneStatus is where a tune is.
type TuneStatus string

// The statuses of a tune.
const (
	TuneQueued    TuneStatus = "queued"
	TuneRunning   TuneStatus = "running"
	TuneCompleted TuneStatus = "completed"
	TuneFailed    TuneStatus = "failed"
	TuneCanceled  TuneStatus = "canceled"
)

// Ended reports whether nothing more happens to the tune.
func (s TuneStatus) Ended() bool { return s != TuneQueued && s != TuneRunning }

// TrialStatus is where a trial of a tune is.
type TrialStatus string

// The statuses of a trial.
const (
	TrialQueued    TrialStatus = "queued"
	TrialRunning   TrialStatus = "running"
	TrialCompleted TrialStatus = "completed"
	TrialFailed    TrialStatus = "failed"
	TrialSkipped   TrialStatus = "skipped"
)

// WFOStatus is where a walk-forward is.
type WFOStatus string

// The statuses of a walk-forward; it is partial when some of its folds failed and it may leave them out.
const (
	WFOPending   WFOStatus = "pending"
	WFORunning   WFOStatus = "running"
	WFOCompleted WFOStatus = "completed"
	WFOPartial   WFOStatus = "partial"
	WFOFailed    WFOStatus = "failed"
	WFOCanceled  WFOStatus = "canceled"
)

// Ended reports whether nothing more happens to the walk-forward.
func (s WFOStatus) Ended() bool { return s != WFOPending && s != WFORunning }

// FoldStatus is where a fold of a walk-forward is.
type FoldStatus string

// The statuses of a fold.
const (
	FoldPending   FoldStatus = "pending"
	FoldRunning   FoldStatus = "running"
	FoldCompleted FoldStatus = "completed"
	FoldFailed    FoldStatus = "failed"
	FoldCanceled  FoldStatus = "canceled"
)

// IngestStatus is where an ingestion is.
type IngestStatus string

// The statuses of an ingestion.
const (
	IngestQueued    IngestStatus = "queued"
	IngestRunning   IngestStatus = "running"
	IngestRetrying  IngestStatus = "retrying" // waits to be tried again, for the reason given
	IngestCompleted IngestStatus = "completed"
	IngestFailed    IngestStatus = "failed"
	IngestCanceled  IngestStatus = "canceled"
)

// Ended reports whether nothing more happens to the ingestion.
func (s IngestStatus) Ended() bool {
	return s == IngestCompleted || s == IngestFailed || s == IngestCanceled
}

// RunPlanStatus is where a run plan is.
type RunPlanStatus string

// StrategyStatus is what is known of a script: checking; ready; refused: it cannot be tuned; or unstable: do not trust it.
type StrategyStatus string

// VersionChange is how a version of a dataset came to be: upload, append, rewrite or attributes.
type VersionChange string

// JobState is where a job is: available, pending, scheduled, running, retryable, completed, cancelled or discarded.
type JobState string

// ReembedStatus is where a workspace's move to another embedding model is.
type ReembedStatus string

// Ended reports whether nothing more happens to the move.
func (s ReembedStatus) Ended() bool { return s == "completed" || s == "failed" }

// GapStatus is what was done about a gap: open, acknowledged or resolved.
type GapStatus string

// CandidateType is what resolves a gap: tune or document.
type CandidateType string

// SourceType is a kind of document, such as "pdf"; in a request "" has the server find it.
type SourceType string

// RecommendStatus says how far past trials carry a recommendation: ok, degraded or none.
type RecommendStatus string

// Axis is a floor that candidates of a recommendation are held to, such as "min_oos_sharpe".
type Axis string

// Reason is why an answer was given without the language model, such as "llm_timeout".
type Reason string

// SearchType is how a tune goes through its parameter space: grid, random, sobol or tpe.
type SearchType string

// Objective is what trials are ranked by, such as "sharpe".
type Objective string

// Aggregate is how a tune over several datasets makes one score of theirs.
type Aggregate string

// Side is the direction of trades: long, short or both.
type Side string

// IntrabarPolicy resolves a bar that reaches both stop and target: worst, best, ohlc_path or random.
type IntrabarPolicy string

// ParamKind is int or float.
type ParamKind string
