package api

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"millrace/api/openapi"
	"millrace/api/signin"
	"millrace/api/types"
	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/store/library"
	"millrace/store/recommend"
	"millrace/store/tenants"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// access says who may call a route.
type access string

// The kinds of access: nobody in particular, a role of the workspace's key, an admin's token or session, or
// else a person's session, where the role of its key includes the page's, or a ticket for one workspace's events.
const (
	public     access = "public"
	viewer     access = access(tenants.RoleViewer)
	member     access = access(tenants.RoleMember)
	wsAdmin    access = access(tenants.RoleAdmin)
	wsOwner    access = access(tenants.RoleOwner)
	ownStream  access = "viewer, session or ticket"
	admin      access = "admin token"
	ticketed   access = "admin token or ticket"
	pageViewer access = "page for viewer"
	pageMember access = "page for member"
	pageAdmin  access = "page for admin"
	pageOwner  access = "page for owner"
)

// role is the least role of a workspace's key that the access takes; "" when none opens it.
func (a access) role() tenants.Role {
	switch a {
	case pageViewer, ownStream:
		return tenants.RoleViewer
	case pageMember:
		return tenants.RoleMember
	case pageAdmin:
		return tenants.RoleAdmin
	case pageOwner:
		return tenants.RoleOwner
	case viewer, member, wsAdmin, wsOwner:
		return tenants.Role(a)
	}
	return ""
}

// opensStream reports whether the routes are those of the streams of events, which outlive the check of their request.
func (a access) opensStream() bool { return a == ownStream || a == ticketed }

// traits say what a route asks of its requests and what it allows them.
type traits uint16

// The traits of a route; they are combined with |.
const (
	bodyLimit   traits = 0         // nothing special: 10 MB of body
	uploadLimit traits = 1 << iota // files: 100 MB of body
	login                          // 4 KB of body, and few tries a minute
	creates                        // work: once for each idempotency key, and not beyond the queue's depth
	streams                        // the handler reads the body and its key: it is too long to hold
	inline                         // creates what is done by the time of the answer: no queue matters, and a key need not be sent
	queries                        // the knowledge base
	bulk                           // bars: 1 GB of body
	secret                         // the answer shows a secret: it is stored under the caller's seal
	quick                          // creates work by checks that cost little: a replay is looked for by the transaction that would create it
)

// maxBody is the most bytes that a request's body may have.
func (t traits) maxBody() int64 {
	switch {
	case t&login != 0:
		return 4 << 10
	case t&bulk != 0:
		return 1 << 30
	case t&uploadLimit != 0:
		return 100 << 20
	}
	return 10 << 20
}

// route is one line of the table: method and path, access, handler, and what the API's document
// says of it.
type route struct {
	method, path string
	access       access
	handler      echo.HandlerFunc
	traits       traits
	about        about
}

// routes is the table of everything the server answers.
func (s *Server) routes() []route {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	return append(slices.Concat(s.datasetRoutes(), s.strategyRoutes(), s.ingestRoutes(), s.manifestRoutes(), s.tearSheetRoutes(), s.labelRoutes(), s.fleetRoutes(), s.lifecycleRoutes(), s.scheduleRoutes(), s.webhookRoutes(), s.retryRoutes()), []route{
		{get, "/healthz", public, s.healthz, bodyLimit, about{summary: "Whether the process lives", answer: types.Status{}}},
		{get, "/readyz", public, s.readyz, bodyLimit, about{summary: "Whether requests can be served", answer: map[string]string{}}},
		{get, "/version", public, s.version, bodyLimit, about{summary: "Which version this is", answer: types.Version{}}},
		{get, "/metrics", admin, s.metrics, bodyLimit, about{summary: "Figures for Prometheus", media: "text/plain"}},

		{post, "/backtests/run", member, s.runBacktest, creates | inline, about{
			summary: "Run one backtest", body: types.RunRequest{}, sample: sampleRun, status: http.StatusCreated, answer: types.Run{}}},
		{get, "/backtests/runs", viewer, s.listRuns, bodyLimit, about{
			summary: "The runs without trades and equity, newest first", params: paging(50, 200, text("strategy"), archivedToo()), answer: types.List[types.Run]{}}},
		{get, "/backtests/runs/:id", viewer, s.getRun, bodyLimit, about{summary: "A run with its metrics", answer: types.Run{}}},
		{get, "/backtests/runs/:id/trades", viewer, s.getRunTrades, bodyLimit, about{
			summary: "A run's trades; as CSV in the columns of TradingView's list of trades", tables: true, answer: types.List[types.Trade]{}}},
		{get, "/backtests/runs/:id/returns", viewer, s.getRunReturns, bodyLimit, about{
			summary: "A run's returns, as its Sharpe ratio is made of", tables: true, answer: types.List[types.Return]{}}},
		{get, "/backtests/runs/:id/equity", viewer, s.getRunEquity, bodyLimit, about{
			summary: "A run's equity at each bar's close", tables: true, answer: types.List[types.Equity]{}}},

		{post, "/backtests/tune", member, s.submitTune, creates | quick, about{
			summary: "Submit a tune", body: types.TuneRequest{}, sample: sampleTune, status: http.StatusAccepted, answer: types.Tune{}}},
		{get, "/backtests/tunes", viewer, s.listTunes, bodyLimit, about{
			summary: "The tunes, newest first", params: paging(50, 200, oneOf("status", tuneStatuses()), text("strategy"), text("wfo_id"), archivedToo()), answer: types.List[types.Tune]{}}},
		{get, "/backtests/tunes/:id", viewer, s.getTune, bodyLimit, about{
			summary: "A tune and its leaderboard", params: params(whole("leaderboard", 10, 0, 1000), waiting()), answer: types.Tune{}}},
		{get, "/backtests/tunes/:id/trials", viewer, s.listTrials, bodyLimit, about{
			summary: "A tune's trials, by index or best first", answer: types.List[types.Trial]{},
			params: paging(100, 1000, oneOf("status", trialStatuses()), oneOf("sort", []string{"index", "score"})), tables: true}},
		{get, "/backtests/tunes/:id/nearest", viewer, s.getNearest, bodyLimit, about{
			summary: "What a tune's limits exclude, and what would admit the nearest", params: params(whole("limit", 10, 1, 100)), answer: types.NearMiss{}}},
		{get, "/backtests/tunes/:id/leaderboard", viewer, s.getTuneLeaderboard, bodyLimit, about{
			summary: "A tune's leaderboard", params: params(whole("limit", 100, 1, 1000)), tables: true, answer: types.List[types.Entry]{}}},
		{get, "/backtests/tunes/:id/events", ownStream, s.streamOf(s.followedTune()), bodyLimit, about{
			summary: "The events of a tune, live until it ends", params: ofEntity(), media: eventStream, events: "backtest.tune."}},
		{post, "/backtests/tunes/:id/cancel", member, s.cancelTune, bodyLimit, about{summary: "Cancel a tune", answer: types.Tune{}}},
		{get, "/backtests/leaderboard", viewer, s.getLeaderboard, bodyLimit, about{
			summary: "The workspace's best trials under one objective", answer: types.List[types.Standing]{}, params: leaderboardParams(), tables: true}},
		{get, "/backtests/compare", viewer, s.compareTunes, bodyLimit, about{
			summary: "Tunes side by side, and which fields differ", answer: types.Comparison{}, query: "ids=$TUNE_ID",
			params: append(asCSV(), inQuery("ids", "of 1 to 20 tunes, separated by commas", openapi.Schema{"type": "string"}))}},

		{post, "/backtests/wfo", member, s.submitWFO, creates | quick, about{
			summary: "Submit a walk-forward", body: types.WFORequest{}, sample: sampleWFO, status: http.StatusAccepted, answer: types.WFO{}}},
		{get, "/backtests/wfo", viewer, s.listWFOs, bodyLimit, about{
			summary: "The walk-forwards, newest first", params: paging(50, 200, oneOf("status", walkforward.Statuses()), text("strategy"), archivedToo()), answer: types.List[types.WFO]{}}},
		{get, "/backtests/wfo/:id", viewer, s.getWFO, bodyLimit, about{
			summary: "A walk-forward, its folds and best candidates", params: params(whole("candidates", 10, 0, 1000), waiting()), answer: types.WFO{}}},
		{get, "/backtests/wfo/:id/candidates", viewer, s.listWFOCandidates, bodyLimit, about{
			summary: "A walk-forward's candidates, best first", params: paging(100, 1000), tables: true, answer: types.List[types.Candidate]{}}},
		{get, "/backtests/wfo/:id/equity", viewer, s.getWFOEquity, bodyLimit, about{
			summary: "Its stitched out-of-sample equity", tables: true, params: params(text("dataset")), answer: types.List[types.Equity]{}}},
		{get, "/backtests/wfo/:id/events", ownStream, s.streamOf(s.followedWFO()), bodyLimit, about{
			summary: "The events of a walk-forward, live until it ends", params: ofEntity(), media: eventStream, events: "wfo.run."}},
		{post, "/backtests/wfo/:id/cancel", member, s.cancelWFO, bodyLimit, about{
			summary: "Cancel a walk-forward and its folds", answer: types.WFO{}}},

		{get, "/ingest/jobs", viewer, s.listIngests, bodyLimit, about{
			summary: "The ingestions, newest first", answer: types.List[types.Ingest]{}, params: paging(50, 500,
				oneOf("status", library.IngestStatuses()), oneOf("source_type", knowledge.SourceTypes()), text("document_id"))}},
		{get, "/ingest/jobs/:id", viewer, s.getIngest, bodyLimit, about{
			summary: "An ingestion: how far it is, or why it failed", params: params(waiting()), answer: types.Ingest{}}},
		{get, "/ingest/jobs/:id/events", ownStream, s.streamOf(s.followedIngest()), bodyLimit, about{
			summary: "The events of an ingestion, live until it ends", params: ofEntity(), media: eventStream, events: "ingestion.job."}},
		{post, "/ingest/jobs/:id/cancel", member, s.cancelIngest, bodyLimit, about{summary: "Cancel an ingestion", answer: types.Ingest{}}},
		{get, "/documents", viewer, s.listDocuments, bodyLimit, about{
			summary: "The documents, newest first", answer: types.List[types.Document]{},
			params: paging(50, 500, oneOf("source_type", knowledge.SourceTypes()), text("title"), archivedToo())}},
		{get, "/documents/:id", viewer, s.getDocument, bodyLimit, about{
			summary: "A document and its chunks", params: paging(50, 500), answer: types.DocumentDetail{}}},
		{del, "/documents/:id", member, s.deleteDocument, bodyLimit, about{
			summary: "Delete a document with its chunks and vectors", params: params(dryRun()), status: http.StatusNoContent, dry: types.Deletion{}}},
		{post, "/documents/:id/reingest", member, s.reingestDocument, creates, about{
			summary: "Fetch a document's source again", status: http.StatusAccepted, answer: types.Ingest{}}},
		{post, "/documents/:id/strategy", member, s.makeStrategy, creates | inline, about{
			summary: "Make a strategy of an ingested Pine script", body: types.DocumentStrategyRequest{}, sample: sampleDocumentStrategy,
			status: http.StatusCreated, answer: types.Strategy{}}},

		{post, "/query", viewer, s.query, queries, about{
			summary: "Ask the knowledge base: passages, and an answer that cites them", body: types.QueryRequest{}, sample: sampleQuery, answer: types.Query{}}},
		{post, "/kb/recommend", viewer, s.recommend, queries, about{
			summary: "Parameters that past trials in such a market recommend", body: types.RecommendRequest{}, sample: sampleRecommend, answer: types.Recommend{}}},
		{post, "/backtests/tunes/:id/explain", member, s.explainTune, queries, about{
			summary: "Explain a tune's result in words", answer: types.TuneExplanation{}}},
		{get, "/backtests/tunes/:id/explain", viewer, s.getExplanation, bodyLimit, about{
			summary: "The last explanation of a tune", answer: types.TuneExplanation{}}},

		{post, "/run-plans", member, s.submitRunPlan, creates | quick, about{
			summary: "Submit a tune with its variants", body: types.RunPlanRequest{}, sample: sampleRunPlan, status: http.StatusAccepted, answer: types.RunPlan{}}},
		{get, "/run-plans", viewer, s.listRunPlans, bodyLimit, about{
			summary: "The run plans, newest first", params: paging(50, 200, oneOf("status", tuning.RunPlanStatuses()), archivedToo()), answer: types.List[types.RunPlan]{}}},
		{get, "/run-plans/:id", viewer, s.getRunPlan, bodyLimit, about{summary: "A run plan, its variants and its trail", answer: types.RunPlan{}}},
		{post, "/run-plans/:id/cancel", member, s.cancelRunPlan, bodyLimit, about{
			summary: "Cancel what of a run plan has not ended", answer: types.RunPlan{}}},

		{get, "/events", viewer, s.listEvents, bodyLimit, about{
			summary: "The event log by cursor", params: params(topics(), text("after"), whole("limit", 100, 1, 1000)), answer: types.EventPage{}}},
		{get, "/events/stream", ownStream, s.streamEvents, bodyLimit, about{
			summary: "The workspace's events, live", params: params(topics(), text("cursor"), lastEventID()), media: eventStream}},
		{get, "/admin/events/stream", ticketed, s.streamAllEvents, bodyLimit, about{
			summary: "Every workspace's events, live", params: params(text("workspace_id"), topics(), text("cursor"), lastEventID()), media: eventStream}},
		{post, "/admin/events/ticket", pageViewer, s.createTicket, bodyLimit, about{
			summary: "A cookie that opens one workspace's event stream", body: types.TicketRequest{}, sample: sampleTicket, status: http.StatusCreated, answer: types.Ticket{}}},

		{get, "/workspace", viewer, s.getOwnWorkspace, bodyLimit, about{summary: "The key's workspace, and what it has of that which quotas limit", answer: types.OwnWorkspace{}}},
		{del, "/workspace", wsOwner, s.deleteWorkspace, bodyLimit, about{
			summary: "Delete the key's workspace with all that it has, once confirm has its name", params: params(dryRun(), confirmName()),
			query: "confirm=$WORKSPACE_NAME", status: http.StatusAccepted, answer: types.WorkspaceDeletion{}, dry: types.WorkspaceDeletion{}}},
		{get, "/workspace/keys", wsAdmin, s.listKeys, bodyLimit, about{
			summary: "Its keys, newest first", params: paging(50, 200), answer: types.List[types.Key]{}}},
		{post, "/workspace/keys", wsAdmin, s.createKey, creates | inline | secret, about{
			summary: "Create a key; its secret is shown this once", body: types.KeyRequest{}, sample: sampleKey, status: http.StatusCreated, answer: types.NewKey{}}},
		{del, "/workspace/keys/:key", wsAdmin, s.revokeKey, bodyLimit, about{summary: "Revoke a key", status: http.StatusNoContent}},

		{get, "/audit", wsAdmin, s.listOwnAudit, bodyLimit, about{
			summary: "Who changed what in the key's workspace, newest first", params: paging(50, 1000, asJSONLines()...), answer: types.List[types.AuditEntry]{}}},
		{get, "/admin/audit", admin, s.listAudit, bodyLimit, about{
			summary: "Who changed what in a workspace, or what belongs to none, newest first",
			params:  paging(50, 1000, append(asJSONLines(), text("workspace_id"))...), answer: types.List[types.AuditEntry]{}}},

		{get, "/admin/workspaces", admin, s.listWorkspaces, bodyLimit, about{
			summary: "Every workspace, newest first, or the one of a name", params: paging(50, 200, text("name")), answer: types.List[types.Workspace]{}}},
		{post, "/admin/workspaces", admin, s.createWorkspace, creates | inline, about{
			summary: "Create a workspace", body: types.WorkspaceRequest{}, sample: sampleWorkspace, status: http.StatusCreated, answer: types.Workspace{}}},
		{get, "/admin/workspaces/:id", admin, s.getWorkspace, bodyLimit, about{summary: "A workspace, and what it has of that which quotas limit", answer: types.WorkspaceUsage{}}},
		{patch, "/admin/workspaces/:id", admin, s.changeWorkspace, bodyLimit, about{
			summary: "Change what is named; a limit of 0 is the server's again", body: types.WorkspaceRequest{}, sample: sampleLimits, answer: types.Workspace{}}},
		{del, "/admin/workspaces/:id", admin, s.deleteWorkspace, bodyLimit, about{
			summary: "Delete a workspace with all that it has, once confirm has its name", params: params(dryRun(), confirmName()),
			query: "confirm=$WORKSPACE_NAME", status: http.StatusAccepted, answer: types.WorkspaceDeletion{}, dry: types.WorkspaceDeletion{}}},
		{get, "/admin/workspace-deletions", admin, s.listWorkspaceDeletions, bodyLimit, about{
			summary: "The workspaces that were deleted, newest first", params: paging(50, 200), answer: types.List[types.WorkspaceDeletion]{}}},
		{get, "/admin/workspace-deletions/:id", admin, s.getWorkspaceDeletion, bodyLimit, about{
			summary: "The deletion of a workspace, by the workspace's id: how far it is", answer: types.WorkspaceDeletion{}}},
		{get, "/admin/workspaces/:id/keys", admin, s.listKeys, bodyLimit, about{
			summary: "A workspace's keys, newest first", params: paging(50, 200), answer: types.List[types.Key]{}}},
		{post, "/admin/workspaces/:id/keys", admin, s.createKey, creates | inline | secret, about{
			summary: "Create a key; its secret is shown this once", body: types.KeyRequest{}, sample: sampleAdminsKey, status: http.StatusCreated, answer: types.NewKey{}}},
		{del, "/admin/workspaces/:id/keys/:key", admin, s.revokeKey, bodyLimit, about{summary: "Revoke a key", status: http.StatusNoContent}},

		{get, "/admin/tokens", admin, s.listAdminTokens, bodyLimit, about{
			summary: "The tokens of named admins, newest first", params: paging(50, 200), answer: types.List[types.AdminToken]{}}},
		{post, "/admin/tokens", admin, s.createAdminToken, creates | inline | secret, about{
			summary: "Create a token for an admin of a name; its secret is shown this once", body: types.AdminTokenRequest{}, sample: sampleAdminToken,
			status: http.StatusCreated, answer: types.NewAdminToken{}}},
		{del, "/admin/tokens/:token", admin, s.revokeAdminToken, bodyLimit, about{summary: "Revoke a token of an admin", status: http.StatusNoContent}},

		{get, "/admin/login", public, s.loginPage, bodyLimit, about{page: true}},
		{post, "/admin/login", public, s.logIn, login, about{
			summary: "Begin a session of the console", body: types.LoginRequest{}, sample: sampleLogin, answer: types.Session{}}},
		{get, signInPath, public, s.beginOpenID, bodyLimit, about{page: true}},
		{get, signin.CallbackPath, public, s.finishOpenID, bodyLimit, about{page: true}},
		{post, "/admin/logout", public, s.logOut, bodyLimit, about{summary: "End it", status: http.StatusNoContent}},

		{get, "/admin/pprof/*", admin, s.profiles, bodyLimit, about{page: true}},
		{get, "/admin/system/health.json", admin, s.systemHealth, bodyLimit, about{
			summary: "The state of every component, with advice", answer: ops.HealthDocument{}}},
		{post, "/admin/workspaces/:id/reembed", admin, s.reembed, creates, about{
			summary: "Embed a workspace's chunks again, with another model, and switch to it", body: types.ReembedRequest{},
			status: http.StatusAccepted, answer: types.Reembed{}}},
		{get, "/admin/reembeds", admin, s.listReembeds, bodyLimit, about{
			summary: "The moves to other embedding models, newest first", params: paging(50, 200), answer: types.List[types.Reembed]{}}},
		{get, "/admin/reembeds/:id", admin, s.getReembed, bodyLimit, about{summary: "One of them", answer: types.Reembed{}}},

		{get, "/admin/coverage/gaps", admin, s.listGaps, bodyLimit, about{
			summary: "What workspaces asked for and do not know, the most pressing first", answer: types.List[types.Gap]{},
			params: paging(50, 200, text("workspace_id"), oneOf("status", recommend.GapStatuses()), oneOf("kind", gapKinds()))}},
		{get, "/admin/coverage/gaps/:id", admin, s.getGap, bodyLimit, about{summary: "One of them, or any run of a recommendation or query", answer: types.Gap{}}},
		{post, "/admin/coverage/gaps/:id/acknowledge", admin, s.acknowledgeGap, bodyLimit, about{summary: "Say that somebody looks after a gap", answer: types.Gap{}}},
		{post, "/admin/coverage/gaps/:id/resolve", admin, s.resolveGap, bodyLimit, about{
			summary: "Resolve a gap with a candidate or a note", body: types.ResolveRequest{}, sample: sampleResolve, answer: types.Gap{}}},
		{post, "/admin/coverage/explain", admin, s.explainMatch, bodyLimit, about{
			summary: "Explain how well a request was covered", body: types.ExplainMatchRequest{}, sample: sampleMatch, answer: types.MatchExplanation{}}},

		{post, "/admin/retention/prune/:job", admin, s.prune, creates, about{
			summary: "Run a retention job, or count what it would delete", body: types.PruneRequest{}, sample: samplePrune,
			status: http.StatusAccepted, answer: types.RetentionRun{}}},
		{get, "/admin/retention/logs", admin, s.listRetentionLog, bodyLimit, about{
			summary: "The runs of retention jobs, newest first", params: paging(50, 1000, oneOf("job_name", retentionJobs())), answer: types.List[types.RetentionRun]{}}},
		{get, "/admin/retention/logs/:entry", admin, s.getRetentionRun, bodyLimit, about{summary: "One of them", answer: types.RetentionRun{}}},
		{get, "/admin/retention/status", admin, s.retentionStatus, bodyLimit, about{
			summary: "The retention jobs, their schedule and how they have gone", answer: types.Retention{}}},
	}...)
}

// docsRoutes are the routes of the API's own document, when it is served.
func (s *Server) docsRoutes() []route {
	return []route{
		{http.MethodGet, "/docs", public, s.docs, bodyLimit, about{page: true}},
		{http.MethodGet, "/docs/openapi.json", public, s.openAPI, bodyLimit, about{summary: "This document", answer: map[string]any{}}},
		{http.MethodGet, "/docs/asyncapi.json", public, s.asyncAPI, bodyLimit, about{summary: "The streams and webhooks with their messages, as AsyncAPI 3.0", answer: map[string]any{}}},
	}
}
