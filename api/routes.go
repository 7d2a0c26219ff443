package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"millrace/store"
)

// access says who may call a route.
type access string

// The kinds of access: nobody in particular, a role of the workspace's key, the admin token or a
// session of the console, or else a ticket for one workspace's events.
const (
	public   access = "public"
	viewer   access = access(store.RoleViewer)
	member   access = access(store.RoleMember)
	admin    access = "admin token"
	ticketed access = "admin token or ticket"
)

// traits say what a route asks of its requests and what it allows them.
type traits uint8

// The traits of a route; they are combined with |.
const (
	bodyLimit   traits = 0         // nothing special: 10 MB of body
	uploadLimit traits = 1 << iota // files: 100 MB of body
	login                          // 4 KB of body, and few tries a minute
)

// maxBody is the most bytes that a request's body may have.
func (t traits) maxBody() int64 {
	switch {
	case t&login != 0:
		return 4 << 10
	case t&uploadLimit != 0:
		return 100 << 20
	}
	return 10 << 20
}

// route is one line of the table.
type route struct {
	method, path string
	access       access
	handler      echo.HandlerFunc
	traits       traits
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
		{get, "/admin/events/stream", ticketed, s.streamAllEvents, bodyLimit},
		{post, "/admin/events/ticket", admin, s.createTicket, bodyLimit},

		{get, "/admin", admin, s.console, bodyLimit},
		{get, "/admin/login", public, s.loginPage, bodyLimit},
		{post, "/admin/login", public, s.logIn, login},
		{post, "/admin/logout", public, s.logOut, bodyLimit},
	}
}
