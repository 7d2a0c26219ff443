package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// pageRoutes are the console's pages. They are for people, so the API's document leaves them out.
func (s *Server) pageRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	page := func(method, path string, who access, handler echo.HandlerFunc) route {
		return route{method, path, who, handler, bodyLimit, about{page: true}}
	}
	p := s.pages
	return []route{
		{get, "/admin/assets/:name", public, p.Asset, bodyLimit, about{page: true}},
		page(get, "/admin", pageViewer, p.Home),
		page(post, "/admin/workspace", admin, p.Choose),
		page(get, "/admin/tunes", pageViewer, p.Tunes),
		page(post, "/admin/tunes", pageMember, p.SubmitTune),
		page(post, "/admin/tunes/estimate", pageMember, p.Estimate),
		page(get, "/admin/tunes/new", pageMember, p.NewTune),
		page(get, "/admin/tunes/:id", pageViewer, p.Tune),
		page(get, "/admin/tunes/:id/trials.csv", pageViewer, p.TrialsCSV),
		page(get, "/admin/tunes/:id/trials/:index", pageViewer, p.Trial),
		page(get, "/admin/tunes/:id/trials/:index/plot", pageViewer, p.TrialPlot),
		page(get, "/admin/tunes/:id/trials/:index/trades.csv", pageViewer, p.TrialTrades),
		page(post, "/admin/tunes/:id/cancel", pageMember, p.CancelTune),
		page(post, "/admin/tunes/:id/relax", pageMember, p.RelaxTune),
		page(get, "/admin/tunes/:id/tearsheet", pageViewer, p.TearSheet("tunes")),
		page(get, "/admin/wfo/:id/tearsheet", pageViewer, p.TearSheet("wfo")),
		page(get, "/admin/runs/:id/tearsheet", pageViewer, p.TearSheet("runs")),
		page(get, "/admin/search", pageViewer, p.Search),
		page(post, "/admin/labels/:kind/:id", pageMember, p.PutLabel),
		page(get, "/admin/change", pageMember, p.Change),
		page(post, "/admin/change", pageMember, p.MakeChange),
		page(get, "/admin/leaderboard", pageViewer, p.Leaderboard),
		page(get, "/admin/compare", pageViewer, p.Compare),
		page(post, "/admin/compare/add", pageViewer, p.AddToCompare),
		page(get, "/admin/definitions", pageViewer, p.Definitions),
		page(get, "/admin/wfo", pageViewer, p.WalkForwards),
		page(post, "/admin/wfo", pageMember, p.SubmitWalkForward),
		page(get, "/admin/wfo/new", pageMember, p.NewWalkForward),
		page(get, "/admin/wfo/:id", pageViewer, p.WalkForward),
		page(post, "/admin/wfo/:id/cancel", pageMember, p.CancelWalkForward),
		page(get, "/admin/wfo/:id/equity.csv", pageViewer, p.WalkForwardEquity),
		page(get, "/admin/events", pageViewer, p.Events),
		page(get, "/admin/system/health", admin, p.Health),
		page(get, "/admin/ingestion", pageViewer, p.Ingestion),
		page(post, "/admin/ingestion", pageMember, p.Ingest),
		{post, "/admin/ingestion/file", pageMember, p.IngestFile, uploadLimit, about{page: true}},
		page(post, "/admin/ingestion/documents/:id/delete", pageMember, p.DeleteDocument),
		page(post, "/admin/ingestion/documents/:id/reingest", pageMember, p.Reingest),
		page(post, "/admin/ingestion/documents/:id/strategy", pageMember, p.MakeStrategy),
		page(get, "/admin/coverage", admin, p.Coverage),
		page(post, "/admin/coverage/:id/acknowledge", admin, p.AcknowledgeGap),
		page(post, "/admin/coverage/:id/resolve", admin, p.ResolveGap),
		page(get, "/admin/query", pageViewer, p.Ask),
		page(post, "/admin/query", pageViewer, p.Ask),
		page(get, "/admin/audit-log", pageAdmin, p.Audit),
		page(get, "/admin/access", pageAdmin, p.Access),
		page(post, "/admin/access/workspaces", admin, p.CreateWorkspace),
		page(post, "/admin/access/keys", pageAdmin, p.CreateKey),
		page(post, "/admin/access/keys/revoke", pageAdmin, p.RevokeKey),
		page(get, "/admin/retention", admin, p.Retention),
		page(post, "/admin/retention", admin, p.Prune),
		page(get, "/admin/schedules", pageViewer, p.Schedules),
		page(get, "/admin/workspaces/:id/schedules", pageViewer, p.SchedulesOf),
		page(get, "/admin/schedules/:id", pageViewer, p.Schedule),
		page(post, "/admin/schedules/:id/pause", pageMember, p.PauseSchedule),
		page(post, "/admin/schedules/:id/resume", pageMember, p.ResumeSchedule),
		page(post, "/admin/schedules/:id/run", pageMember, p.RunSchedule),
		page(post, "/admin/schedules/:id/delete", pageMember, p.DeleteSchedule),
		page(get, "/admin/strategies", pageViewer, p.Strategies),
		page(post, "/admin/strategies", pageMember, p.AddStrategy),
		page(get, "/admin/strategies/:id", pageViewer, p.Strategy),
		page(post, "/admin/strategies/:id/run", pageMember, p.RunStrategy),
		page(post, "/admin/strategies/:id/delete", pageMember, p.DeleteStrategy),
		page(post, "/admin/runs", pageMember, p.SubmitRun),
		page(get, "/admin/runs/new", pageMember, p.NewRun),
		page(get, "/admin/runs/:id", pageViewer, p.Run),
		page(get, "/admin/runs/:id/trades.csv", pageViewer, p.RunTrades),
		page(get, "/admin/runs/:id/plot", pageViewer, p.RunPlot),
		page(get, "/admin/datasets", pageViewer, p.Datasets),
		page(post, "/admin/datasets/sample", pageMember, p.LoadSample),
		{post, "/admin/datasets/:id/bars", pageMember, p.AppendBars, uploadLimit | bulk, about{page: true}},
		{post, "/admin/datasets", pageMember, p.Upload, uploadLimit | bulk, about{page: true}},
	}
}
