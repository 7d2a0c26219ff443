package api

import (
	"fmt"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/api/console"
)

// missing is a kind of thing that routes name by an id or a name: what it is called, and where those that are
// there are listed.
type missing struct {
	noun  string
	route string // of the API
	verb  string // of the command line; "": none
	page  string // in the console's menu
}

// missings are the kinds by the beginning of the paths of the API and of the pages that name one of them.
func missings() map[string]missing {
	tune := missing{"tune", "/backtests/tunes", "millrace tunes list", "Tunes"}
	wfo := missing{"walk-forward", "/backtests/wfo", "", "Walk-forwards"}
	run := missing{"backtest", "/backtests/runs", "", "Backtests"}
	dataset := missing{"dataset", "/datasets", "millrace data list", "Datasets"}
	plan := missing{"run plan", "/run-plans", "millrace plans list", "Run plans"}
	script := missing{"script", "/strategies", "millrace pine list", "Strategies"}
	schedule := missing{"schedule", "/schedules", "millrace schedules list", "Schedules"}
	webhook := missing{"webhook", "/webhooks", "millrace webhooks list", "Webhooks"}
	document := missing{"document", "/documents", "", "Ingestion"}
	workspace := missing{"workspace", "/admin/workspaces", "millrace admin workspace list", "Workspaces"}
	return map[string]missing{
		"/backtests/tunes/:id": tune, "/admin/tunes/:id": tune, "/backtests/wfo/:id": wfo, "/admin/wfo/:id": wfo, "/backtests/runs/:id": run, "/admin/runs/:id": run,
		"/datasets/:id": dataset, "/admin/datasets/:id": dataset, "/run-plans/:id": plan, "/admin/plans/:id": plan, "/strategies/:id": script, "/admin/strategies/:id": script,
		"/schedules/:id": schedule, "/admin/schedules/:id": schedule, "/webhooks/:id": webhook, "/admin/webhooks/:id": webhook,
		"/documents/:id": document, "/admin/ingestion/documents/:id": document, "/ingest/jobs/:id": {"ingestion", "/ingest/jobs", "", "Ingestion"},
		"/admin/workspaces/:id": workspace, "/admin/workspaces/:id/keys/:key": {"key", "/admin/workspaces/{id}/keys", "millrace admin key list", "Workspaces"},
		"/workspace/keys/:id": {"key", "/workspace/keys", "", "Workspaces"}, "/admin/tokens/:id": {"admin's token", "/admin/tokens", "millrace admin token list", "Workspaces"},
		"/admin/coverage/gaps/:id": {"gap", "/admin/coverage/gaps", "", "Coverage"}, "/admin/reembeds/:id": {"re-embedding", "/admin/reembeds", "", "Ingestion"},
	}
}

// whatIsMissing says what the request's path names that is not there, and where those that are there are listed.
// The request of a page learns the page of the list, any other the route and the verb.
func (s *Server) whatIsMissing(c echo.Context) string {
	at, kinds := c.Path(), missings()
	of, known := kinds[at]
	for !known && at != "" {
		at = at[:max(strings.LastIndexByte(at, '/'), 0)]
		of, known = kinds[at]
	}
	if !known {
		return console.NothingThere
	}
	parts := strings.Split(at, "/")
	name := clipped(c.Param(strings.TrimPrefix(parts[len(parts)-1], ":")), 100)
	_, within := insiderOf(c.Request())
	switch {
	case within || s.isPage(c):
		return fmt.Sprintf("No %s %q here; %s in the menu shows those there are.", of.noun, name, of.page)
	case of.verb == "":
		return fmt.Sprintf("No %s %q here; GET %s lists those there are.", of.noun, name, of.route)
	}
	return fmt.Sprintf("No %s %q here; GET %s or `%s` lists those there are.", of.noun, name, of.route, of.verb)
}
