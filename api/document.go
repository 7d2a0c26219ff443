package api

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river/rivertype"

	"millrace/api/columns"
	"millrace/api/openapi"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/calendar"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
	"millrace/jobs/sweep/evidence"
	"millrace/store/eventlog"
	"millrace/store/library"
	"millrace/store/recommend"
	"millrace/store/schedules"
	"millrace/store/strategies"
	"millrace/store/tenants"
	"millrace/store/tuning"
	"millrace/store/walkforward"
	"millrace/store/webhooks"
)

// about is what the API's document says of a route. A console page is not part of the API.
type about struct {
	summary string
	params  []openapi.Param
	body    any // a value of the type that the JSON body is bound to
	form    []openapi.Part
	sample  string // a body, for the example
	query   string // a query, for the example
	status  int    // of success; 0: 200
	answer  any    // a value of the type that is rendered
	dry     any    // the same with dry_run=true, with 200; nil: it has no dry run
	media   string // of an answer that is not JSON
	events  string // what the types of the events of a stream begin with; "": it has all
	tables  bool   // the answer can be had as CSV, Parquet and Arrow too
	page    bool
}

// eventStream is the media type of streams.
const eventStream = "text/event-stream"

func params(all ...openapi.Param) []openapi.Param { return all }

// paging are the parameters of a list, with those of its own.
func paging(def, most int, more ...openapi.Param) []openapi.Param {
	return append(more, inQuery("cursor", "next_cursor of the page before", openapi.Schema{"type": "string"}), whole("limit", def, 1, most))
}

func asCSV() []openapi.Param {
	return params(inQuery("format", "CSV in place of JSON", openapi.Schema{"type": "string", "enum": []string{"json", "csv"}}))
}

func inQuery(name, doc string, schema openapi.Schema) openapi.Param {
	return openapi.Param{Name: name, In: "query", Doc: doc, Schema: schema}
}

func text(name string) openapi.Param { return inQuery(name, "", openapi.Schema{"type": "string"}) }

func whole(name string, def, low, high int) openapi.Param {
	return inQuery(name, "", openapi.Schema{"type": "integer", "default": def, "minimum": low, "maximum": high})
}

func oneOf[T ~string](name string, values []T) openapi.Param {
	return inQuery(name, "", openapi.Schema{"type": "string", "enum": values})
}

// waiting is the parameter of reads of what ends some time.
func waiting() openapi.Param {
	return inQuery("wait", "how long to wait for its end, at most 60s, such as 30s; the answer comes as soon as it has ended, or else when the time is over",
		openapi.Schema{"type": "string", "default": "0s"})
}

// ofEntity are the parameters of an entity's stream.
func ofEntity() []openapi.Param { return params(text("cursor"), lastEventID()) }

func topics() openapi.Param {
	return inQuery("topics", "separated by commas, of "+strings.Join(eventlog.Topics(), ", ")+"; default: all", openapi.Schema{"type": "string"})
}

func lastEventID() openapi.Param {
	return openapi.Param{Name: "Last-Event-ID", In: "header", Doc: "the id of the last event received, to resume after it", Schema: openapi.Schema{"type": "string"}}
}

var idempotencyKey = openapi.Param{
	Name: idempotencyHeader, In: "header", Required: true,
	Doc:    "repeating a request with its key and body has no further effect and gives the same answer",
	Schema: openapi.Schema{"type": "string", "minLength": 1, "maxLength": maxKeyLength},
}

// enums are the types with a closed set of values.
func enums() map[reflect.Type][]string {
	return map[reflect.Type][]string{
		reflect.TypeFor[types.Role]():           words(tenants.Roles()),
		reflect.TypeFor[types.TuneStatus]():     words(tuneStatuses()),
		reflect.TypeFor[types.RunPlanStatus]():  words(tuning.RunPlanStatuses()),
		reflect.TypeFor[types.WFOStatus]():      words(walkforward.Statuses()),
		reflect.TypeFor[types.FoldStatus]():     {string(walkforward.FoldPending), string(walkforward.FoldRunning), string(walkforward.FoldCompleted), string(walkforward.FoldFailed), string(walkforward.FoldCanceled)},
		reflect.TypeFor[types.IngestStatus]():   words(library.IngestStatuses()),
		reflect.TypeFor[types.TrialStatus]():    words(trialStatuses()),
		reflect.TypeFor[types.SearchType]():     words(sweep.Searches()),
		reflect.TypeFor[types.Objective]():      words(sweep.Objectives()),
		reflect.TypeFor[types.Aggregate]():      words(sweep.Aggregates()),
		reflect.TypeFor[types.Verdict]():        words(evidence.Verdicts()),
		reflect.TypeFor[types.CommissionName](): words(backtest.CommissionNames()),
		reflect.TypeFor[types.Side]():           {string(backtest.SideLong), string(backtest.SideShort), string(backtest.SideBoth)},
		reflect.TypeFor[types.IntrabarPolicy](): {string(backtest.PolicyWorst), string(backtest.PolicyBest), string(backtest.PolicyOHLCPath), string(backtest.PolicyRandom)},

		reflect.TypeFor[types.SourceType]():      words(knowledge.SourceTypes()),
		reflect.TypeFor[types.Axis]():            words(knowledge.Axes()),
		reflect.TypeFor[types.RecommendStatus](): {string(knowledge.RecommendOK), string(knowledge.RecommendDegraded), string(knowledge.RecommendNone)},
		reflect.TypeFor[types.DeletionStatus]():  {"queued", "running", "completed", "failed"},
		reflect.TypeFor[types.ReembedStatus]():   words(library.ReembedStatuses()),
		reflect.TypeFor[types.Reason]():          words(knowledge.Reasons()),
		reflect.TypeFor[types.WebhookState]():    words(webhooks.States()),
		reflect.TypeFor[types.DeliveryState]():   webhooks.DeliveryStates(),
		reflect.TypeFor[types.GapStatus]():       words(recommend.GapStatuses()),
		reflect.TypeFor[types.ScheduleKind]():    words(schedules.Kinds()),
		reflect.TypeFor[types.MissedPolicy]():    words(calendar.Policies()),
		reflect.TypeFor[types.SlotCause]():       words(schedules.Causes()),
		reflect.TypeFor[types.SlotState]():       words(schedules.States()),
		reflect.TypeFor[types.StrategyStatus]():  words(strategies.Statuses()),
		reflect.TypeFor[types.VersionChange]():   words(versionChanges()),
		reflect.TypeFor[types.JobState]():        words(rivertype.JobStates()),
		reflect.TypeFor[types.CandidateType]():   {string(recommend.CandidateTune), string(recommend.CandidateDocument)},
	}
}

// schemaNames are the names in the document of types that are called otherwise in Go: clients are
// generated from them.
func schemaNames() map[string]string {
	return map[string]string{
		"WFO": "Wfo", "WFORequest": "WfoRequest", "RecommendCandidate": "ApiCandidate", "RecommendRegime": "ApiRegime",
		// Payloads of events, whose names the events themselves have.
		"WFOProgress": "WfoProgress", "IngestEvent": "IngestionReport", "ScheduleEvent": "ScheduleReport",
	}
}

func words[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// document makes the OpenAPI document of the table of routes.
func document(routes []route, version string) ([]byte, error) {
	var operations []openapi.Operation
	for _, r := range routes {
		if r.about.page {
			continue
		}
		operations = append(operations, r.operation())
	}
	info, err := documentInfo(version)
	if err != nil {
		return nil, err
	}
	return openapi.Document(info, operations)
}

// documentInfo is what both documents say of the service.
func documentInfo(version string) (openapi.Info, error) {
	comments, err := openapi.Comments(types.Source())
	if err != nil {
		return openapi.Info{}, err
	}
	return openapi.Info{
		Comments: map[string]map[string]string{reflect.TypeFor[types.Tune]().PkgPath(): comments}, Common: allMembers(),
		Title: "Millrace", Version: version, Problem: types.ProblemError{}, Enums: enums(), Names: schemaNames(), Unions: unions(), Closed: closedMembers(),
		Description: "Parameter sweeps, walk-forwards and knowledge for trading research, run durably. " +
			"Every request that creates work takes an idempotency key; every error is problem+json (RFC 9457).",
		Security: map[string]openapi.Schema{
			"workspaceKey": {"type": "http", "scheme": "bearer", "description": "A workspace's key, mr_…"},
			"adminToken":   {"type": "apiKey", "in": "header", "name": "X-Admin-Token"},
			"adminBearer":  {"type": "http", "scheme": "bearer", "description": "The admin token"},
		},
	}, nil
}

func (r route) operation() openapi.Operation {
	op := openapi.Operation{
		Method: r.method, Path: r.path, Summary: r.about.summary, Tag: r.tag(), Params: r.about.params,
		Body: r.about.body, Form: r.about.form, Status: r.about.status, Answer: r.about.answer, DryAnswer: r.about.dry, Media: r.about.media,
		Sample: r.sample(), About: r.described(), Failures: r.failures(),
	}
	if op.Media == eventStream {
		op.Carries = types.Event{}
	}
	op.Params = slices.Clone(op.Params)
	if r.about.tables {
		op.Params = append(op.Params, inQuery("format", "the form of the answer, which Accept can say as well; without limit, CSV, Parquet and Arrow have all there is",
			openapi.Schema{"type": "string", "enum": formats(), "default": formatJSON}))
		for _, format := range columns.Formats() {
			op.Forms = append(op.Forms, format.Media())
		}
	}
	if r.traits&creates != 0 {
		key := idempotencyKey
		key.Required = r.traits&inline == 0
		op.Params = append([]openapi.Param{key}, op.Params...)
	}
	if op.Status == 0 {
		op.Status = http.StatusOK
	}
	for i, p := range op.Params {
		if p.Doc == "" {
			op.Params[i].Doc = commonParams()[p.Name]
		}
	}
	switch r.access {
	case public:
	case admin, ticketed, pageViewer, pageMember, pageAdmin, pageOwner:
		op.Security = []string{"adminToken", "adminBearer"}
	default:
		op.Security = []string{"workspaceKey"}
	}
	return op
}

// tag is the part of the API that the route belongs to.
func (r route) tag() string {
	part := strings.Split(r.path, "/")[1]
	if r.access == public {
		return "server"
	}
	return part
}

// sample is a command that makes the request, with what differs from caller to caller as variables.
func (r route) sample() string {
	b := strings.Builder{}
	b.WriteString("curl")
	if r.about.media == eventStream {
		b.WriteString(" -N")
	}
	switch r.access {
	case public:
	case admin, ticketed, pageViewer, pageMember, pageAdmin, pageOwner:
		b.WriteString(` -H "X-Admin-Token: $ADMIN_TOKEN"`)
	default:
		b.WriteString(` -H "Authorization: Bearer $MILLRACE_API_KEY"`)
	}
	if r.traits&creates != 0 {
		b.WriteString(" \\\n     -H 'X-Idempotency-Key: " + strings.Trim(strings.ReplaceAll(r.path, "/", "-"), "-") + "-1'")
	}
	if r.traits&login != 0 { // a form is taken there as well
		b.WriteString(` -H "Content-Type: application/json"`)
	}
	for _, part := range r.about.form {
		if r.about.sample != "" {
			break // either way will do, and one is shown
		}
		fmt.Fprintf(&b, " \\\n     -F %s=%s", part.Name, formSamples[part.Name])
	}
	switch {
	case r.about.sample != "":
		if r.method != http.MethodPost {
			b.WriteString(" -X " + r.method)
		}
		b.WriteString(" \\\n     -d '" + r.about.sample + "'")
	case r.method == http.MethodDelete:
		b.WriteString(" -X DELETE")
	case strings.HasSuffix(r.path, "/logout"): // a browser says where it is
		b.WriteString(` -X POST -H "Origin: $MILLRACE_URL"`)
	case r.method == http.MethodPost && r.about.form == nil:
		b.WriteString(" -X POST")
	}
	target := r.samplePath()
	if r.about.query != "" {
		target += "?" + r.about.query
	}
	return b.String() + " \\\n     \"$MILLRACE_URL" + target + `"`
}

// samplePath names what an id is of: /backtests/tunes/:id is /backtests/tunes/$TUNE_ID.
func (r route) samplePath() string {
	parts := strings.Split(r.path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			if name == "id" {
				name = strings.TrimSuffix(parts[i-1], "s") + "_id"
				if stem, ok := strings.CutSuffix(parts[i-1], "ies"); ok {
					name = stem + "y_id"
				}
			}
			parts[i] = "$" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		}
	}
	return strings.Join(parts, "/")
}

// openAPI handles GET /docs/openapi.json.
func (s *Server) openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/json", s.document)
}
