package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"millrace/store"
)

// access says who may call a route.
type access string

// The kinds of access: nobody in particular, a role of the workspace's key, or the admin token.
const (
	public access = "public"
	viewer access = access(store.RoleViewer)
	member access = access(store.RoleMember)
	admin  access = "admin token"
)

const (
	bodyLimit   = 10 << 20
	uploadLimit = 100 << 20
)

// route is one line of the table.
type route struct {
	method, path string
	access       access
	handler      echo.HandlerFunc
	bodyLimit    int64
}

// routes is the table of everything the server answers.
func (s *Server) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/healthz", public, s.healthz, bodyLimit},
		{get, "/readyz", public, s.readyz, bodyLimit},
		{get, "/version", public, s.version, bodyLimit},
		{get, "/metrics", admin, s.metrics, bodyLimit},

		{get, "/strategies", viewer, s.listStrategies, bodyLimit},
		{post, "/datasets", member, s.uploadDataset, uploadLimit},
		{get, "/datasets", viewer, s.listDatasets, bodyLimit},

		{post, "/backtests/run", member, s.runBacktest, bodyLimit},
		{get, "/backtests/runs/:id", viewer, s.getRun, bodyLimit},
		{get, "/backtests/runs/:id/trades", viewer, s.getRunTrades, bodyLimit},
		{get, "/backtests/runs/:id/equity", viewer, s.getRunEquity, bodyLimit},

		{post, "/backtests/tune", member, s.submitTune, bodyLimit},
		{get, "/backtests/tunes", viewer, s.listTunes, bodyLimit},
		{get, "/backtests/tunes/:id", viewer, s.getTune, bodyLimit},
		{get, "/backtests/tunes/:id/trials", viewer, s.listTrials, bodyLimit},
		{post, "/backtests/tunes/:id/cancel", member, s.cancelTune, bodyLimit},
		{get, "/backtests/leaderboard", viewer, s.getLeaderboard, bodyLimit},

		{get, "/events", viewer, s.listEvents, bodyLimit},
		{get, "/events/stream", viewer, s.streamEvents, bodyLimit},
		{get, "/admin/events/stream", admin, s.streamAllEvents, bodyLimit},
		{get, "/admin", public, s.console, bodyLimit},
	}
}
