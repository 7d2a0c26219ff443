package api

import (
	"net/http"
	"reflect"

	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river/rivertype"

	"millrace/api/openapi"
	"millrace/api/types"
	"millrace/store/library"
	"millrace/store/market"
	"millrace/store/strategies"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// eventShapes are the events of the log, by what their types begin with: this one table makes the union of the
// OpenAPI document and the messages of the AsyncAPI document.
func eventShapes() []openapi.Shape {
	shape := func(name, doc string, payload any, prefix string, topics []string, ends ...string) openapi.Shape {
		types := make([]string, len(ends))
		for i, end := range ends {
			types[i] = prefix + end
		}
		return openapi.Shape{Name: name, Doc: doc, Values: types, Closed: map[string][]string{"topic": topics}, Members: map[string]any{"payload": payload}}
	}
	of := func(topic ...string) []string { return topic }
	deletions := shape("DeletionEvent", "Something is deleted: nothing shows it any more, and a job takes its rows away, until it is deleted.", types.DeletionReport{}, "",
		of("backtests", "wfo", "schedules"))
	for _, prefix := range []string{"backtest.tune.", "backtest.run_plan.", "backtest.run.", "backtest.dataset.", "wfo.run.", "schedule."} {
		deletions.Values = append(deletions.Values, prefix+"deleting", prefix+"deleted")
	}
	return []openapi.Shape{
		shape("TuneEvent", "A tune was submitted, began, advanced or ended.", types.TuneProgress{}, "backtest.tune.", of("backtests"),
			append(words(tuneStatuses()), "progress")...),
		shape("RunPlanEvent", "A run plan advanced or ended.", types.RunPlanProgress{}, "backtest.run_plan.", of("backtests"),
			append(without(words(tuning.RunPlanStatuses()), "running"), "progress")...),
		shape("StrategyEvent", "The examination of a script ended.", types.StrategyFinding{}, "backtest.strategy.", of("backtests"),
			without(words(strategies.Statuses()), string(strategies.Checking))...),
		shape("DatasetEvent", "A dataset has a new version.", types.NewVersion{}, "backtest.dataset.", of("backtests"), "version"),
		shape("WfoEvent", "A walk-forward was submitted, began, advanced or ended.", types.WFOProgress{}, "wfo.run.", of("wfo"),
			append(words(walkforward.Statuses()), "progress")...),
		shape("FoldEvent", "A fold of a walk-forward began or ended; entity_id is the walk-forward.", types.FoldProgress{}, "wfo.fold.", of("wfo"),
			string(walkforward.FoldRunning), string(walkforward.FoldCompleted), string(walkforward.FoldFailed), string(walkforward.FoldCanceled)),
		shape("IngestionEvent", "An ingestion was submitted, began, advanced, waits to be tried again, or ended.", types.IngestEvent{}, "ingestion.job.", of("ingestion"),
			append(words(library.IngestStatuses()), "progress")...),
		shape("DocumentEvent", "A document was deleted.", types.DocumentReport{}, "ingestion.document.", of("ingestion"), "deleted"),
		shape("ReembedEvent", "A workspace's move to another embedding model was asked for, advanced or ended.", types.ReembedProgress{}, "ingestion.reembed.", of("ingestion"),
			words(library.ReembedStatuses())...),
		shape("CoverageEvent", "A question that the workspace's knowledge answers badly was asked, or something was done about it.", types.GapState{}, "coverage.weak_run.", of("coverage"),
			"created", "updated"),
		shape("ScheduleEvent", "A schedule submitted its work, skipped a slot, or its run ended; result_changed says what differs from the run before.", types.ScheduleEvent{}, "schedule.", of("schedules"),
			"fired", "skipped", "completed", "failed", "canceled", "result_changed", "failing"),
		shape("KeyEvent", "A key of the workspace ends in 14 days, 3 days or a day, or has ended: each once.", types.KeyEnd{}, "key.", of("keys"), "expiring", "expired"),
		deletions,
		shape("WorkspaceEvent", "A workspace is deleted; workspace_id is null.", types.WorkspaceReport{}, "workspace.", of("retention"), "deleting", "deleted"),
		shape("RetentionEvent", "A retention job began or ended.", types.RetentionReport{}, "retention.prune.", of("retention"), "started", "completed", "failed"),
		shape("JobEvent", "A job was inserted or changed its state; entity_id is its number.", types.JobChange{}, "job.", of("jobs"), words(rivertype.JobStates())...),
		shape("RefusedJobEvent", "The outcome of an attempt was refused that no longer held its job.", types.JobRefusal{}, "zombie.", of("jobs"), "refused"),
	}
}

func without(all []string, one string) []string {
	var rest []string
	for _, word := range all {
		if word != one {
			rest = append(rest, word)
		}
	}
	return rest
}

// unions are the types whose values have one of several shapes.
func unions() map[reflect.Type]openapi.Union {
	return map[reflect.Type]openapi.Union{reflect.TypeFor[types.Event](): {Member: "type", Shapes: eventShapes()}}
}

// versionChanges are how versions of datasets come to be.
func versionChanges() []market.Change {
	return []market.Change{market.Uploaded, market.Appended, market.Rewritten, market.Redescribed}
}

const streamWords = "Server-sent events (WHATWG HTML): id is where to resume, by the header Last-Event-ID or by cursor in the query; event is the type; data is the message, as JSON. " +
	"Comments keep the connection open. Types that a reader does not know are of newer servers: pass over them."

// asyncDocument makes the AsyncAPI document of the streams in the table of routes, and of webhooks.
func asyncDocument(routes []route, version string) ([]byte, error) {
	info, err := documentInfo(version)
	if err != nil {
		return nil, err
	}
	info.Description = "The events of Millrace: streams of server-sent events, and webhooks by the Standard Webhooks scheme. The API itself is in openapi.json."
	report := openapi.Message{Name: "StreamReport", Summary: "What the stream reports on itself, beside the events of the log.", Payload: types.StreamReport{}}
	var channels []openapi.Channel
	for _, r := range routes {
		if r.about.media != eventStream || r.about.page {
			continue
		}
		channels = append(channels, openapi.Channel{
			Name: channelName(r.path), Path: r.path, Summary: r.about.summary, About: streamWords, Prefix: r.about.events, Method: http.MethodGet,
			Beside: []openapi.Message{report}, Security: r.operation().Security,
		})
	}
	channels = append(channels, openapi.Channel{
		Name: "webhooks", Summary: "Messages to the address of a webhook", Method: http.MethodPost, Only: []string{},
		About: "POST to the address that subscribed, signed by the Standard Webhooks scheme; 2xx accepts a message, and the next one is sent after that. " +
			"In an event of more than 256 KiB payload is null and payload_omitted true.",
		Beside: []openapi.Message{
			{Name: "WebhookMessage", Summary: "An event that the webhook subscribes to.", Payload: types.WebhookMessage{}, Headers: types.WebhookHeaders{}},
			{Name: "WebhookNote", Summary: "A test, or the report that events were lost.", Payload: types.WebhookNote{}, Headers: types.WebhookHeaders{}},
		},
	})
	return openapi.Async(info, types.Event{}, channels)
}

// channelName makes a name of a path: backtestsTunesEvents of /backtests/tunes/:id/events.
func channelName(path string) string {
	name := ""
	for _, part := range bracketed(path) {
		if part == "" || part[0] == '{' {
			continue
		}
		if name != "" {
			part = string(part[0]-'a'+'A') + part[1:]
		}
		name += part
	}
	return name
}

// asyncAPI handles GET /docs/asyncapi.json.
func (s *Server) asyncAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, s.asyncDoc)
}
