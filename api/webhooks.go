package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/ops/publicnet"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/webhooks"
)

// WebhookOptions are what a server needs to keep webhooks.
type WebhookOptions struct {
	Keys   webhooks.Keyring // seal secrets; without a key there are no webhooks
	Guard  *publicnet.Guard // of the addresses; default: the public internet at ports 80 and 443
	Lookup bool             // look names up when they are given; every connection is checked in any case
}

// Limits of a webhook.
const (
	maxWebhookURL   = 1000
	maxWebhookLine  = 200
	maxWebhookTypes = 50
	maxEventType    = 100
	maxOverlap      = 7 * 24 * time.Hour
	defaultOverlap  = 24 * time.Hour
)

const (
	sampleWebhook = `{"url": "https://1.1.1.1/hooks/millrace", "description": "Winners", "topics": ["backtests"], "types": ["backtest.tune.completed"]}`
	samplePause   = `{"state": "paused"}`
	sampleRotate  = `{"overlap_seconds": 3600}`
)

// webhookRoutes are the routes of webhooks.
func (s *Server) webhookRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{post, "/webhooks", wsAdmin, s.createWebhook, creates | inline | secret, about{
			summary: "Have events posted to an address; the secret that signs them is shown this once", body: types.WebhookRequest{}, sample: sampleWebhook,
			status: http.StatusCreated, answer: types.NewWebhook{}}},
		{get, "/webhooks", wsAdmin, s.listWebhooks, bodyLimit, about{
			summary: "The webhooks, newest first, and how each goes", params: paging(50, 200), answer: types.List[types.Webhook]{}}},
		{get, "/webhooks/:id", wsAdmin, s.getWebhook, bodyLimit, about{summary: "A webhook, and how it goes", answer: types.Webhook{}}},
		{http.MethodPatch, "/webhooks/:id", wsAdmin, s.changeWebhook, bodyLimit, about{
			summary: "Change what is named, pause a webhook or resume it", body: types.WebhookChange{}, sample: samplePause, answer: types.Webhook{}}},
		{http.MethodDelete, "/webhooks/:id", wsAdmin, s.deleteWebhook, bodyLimit, about{
			summary: "Delete a webhook and its deliveries", status: http.StatusNoContent}},
		{post, "/webhooks/:id/rotate", wsAdmin, s.rotateWebhook, creates | inline | secret, about{
			summary: "Give a webhook another secret, which is shown this once; the old one signs too for a while", body: types.RotateRequest{}, sample: sampleRotate,
			answer: types.NewWebhook{}}},
		{post, "/webhooks/:id/test", wsAdmin, s.testWebhook, creates | inline, about{
			summary: "Send a test message, whatever the webhook's state", status: http.StatusAccepted, answer: types.Delivery{}}},
		{get, "/webhooks/:id/deliveries", wsAdmin, s.listDeliveries, bodyLimit, about{
			summary: "A webhook's newest messages and how the attempts at them went", answer: types.List[types.Delivery]{},
			params: paging(50, 200, oneOf("state", webhooks.DeliveryStates()))}},
		{post, "/webhooks/:id/deliveries/:delivery/redeliver", wsAdmin, s.redeliver, creates | inline, about{
			summary: "Send a message again, with its id, whatever the webhook's state", status: http.StatusAccepted, answer: types.Delivery{}}},
	}
}

func viewWebhook(w webhooks.Webhook) types.Webhook {
	return types.Webhook{
		WebhookID: w.ID.String(), WorkspaceID: w.WorkspaceID.String(), URL: w.URL, Description: w.Description, Topics: w.Topics, Types: w.Types,
		EntityID: w.Entity, Label: w.Label, State: types.WebhookState(w.State), OldSecretUntil: utc(w.OldUntil), Attempts: w.Attempts,
		FailingSince: utc(w.FailingSince), RetryAt: utc(w.RetryAt), LastError: w.LastError, LastStatus: w.LastStatus, LastDeliveredAt: utc(w.LastDeliveredAt),
		Delivered: w.Delivered, CreatedAt: w.CreatedAt.UTC(), UpdatedAt: w.UpdatedAt.UTC(),
	}
}

func viewDelivery(d webhooks.Delivery) types.Delivery {
	return types.Delivery{
		DeliveryID: d.MessageID, Kind: string(d.Kind), Topic: d.Topic, Type: d.Type, EntityID: d.EntityID, EventAt: d.EventAt.UTC(),
		State: types.DeliveryState(d.State), Attempts: d.Attempts, Status: d.Status, Error: d.Error, TookMS: d.TookMS, AttemptedAt: utc(d.AttemptedAt),
	}
}

var eventType = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?$`)

// checkWebhook names what of the settings is not allowed.
func (s *Server) checkWebhook(c echo.Context, w *webhooks.Settings) error {
	var faults []invalid.FieldError
	fault := func(field, message string, limit any) {
		faults = append(faults, invalid.FieldError{Field: field, Message: message, Limit: limit})
	}
	if message := s.refusedAddress(c, w.URL); message != "" {
		fault("url", message, nil)
	}
	for _, line := range []struct {
		field, text string
	}{{"description", w.Description}, {"entity_id", w.Entity}, {"label", w.Label}} {
		if line.text != "" && !oneLine(line.text, maxWebhookLine) {
			faults = append(faults, lineFault(line.field, maxWebhookLine))
		}
	}
	for i, topic := range w.Topics {
		if !slices.Contains(eventlog.Topics(), topic) {
			fault(fmt.Sprintf("topics[%d]", i), "is not a topic", eventlog.Topics())
		}
	}
	if len(w.Types) > maxWebhookTypes || len(w.Topics) > maxWebhookTypes {
		fault("types", fmt.Sprintf("types and topics are at most %d each", maxWebhookTypes), maxWebhookTypes)
		return fieldProblems(faults)
	}
	for i, typ := range w.Types {
		if len(typ) > maxEventType || !eventType.MatchString(typ) {
			fault(fmt.Sprintf("types[%d]", i), "is not a type of events: want one such as backtest.tune.completed or backtest.tune.*", maxEventType)
		}
	}
	return fieldProblems(faults)
}

// refusedAddress is why messages cannot be posted to an address; "" when they can, as far as can be said now.
func (s *Server) refusedAddress(c echo.Context, address string) string {
	if !oneLine(address, maxWebhookURL) {
		return lineFault("url", maxWebhookURL).Message
	}
	u, err := url.Parse(address)
	if err != nil {
		return "is not an address"
	}
	if err := extract.CheckAddress(u); err != nil {
		var refused *knowledge.FetchError
		if errors.As(err, &refused) {
			return refused.Reason
		}
		return "is not an address"
	}
	guard := s.opts.Webhooks.Guard
	if guard == nil {
		guard = publicnet.New(publicnet.Options{})
	}
	if err := guard.Check(c.Request().Context(), u, s.opts.Webhooks.Lookup); err != nil {
		return publicnet.Refusal(err).Error()
	}
	return ""
}

func (s *Server) webhooksOn() error {
	if !s.opts.Webhooks.Keys.Usable() {
		return problem(http.StatusServiceUnavailable, "This server has no webhooks: set WEBHOOK_KEY, which seals their secrets.")
	}
	return nil
}

// createWebhook handles POST /webhooks.
func (s *Server) createWebhook(c echo.Context) error {
	if err := s.webhooksOn(); err != nil {
		return err
	}
	var req types.WebhookRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	settings := webhooks.Settings{URL: req.URL, Description: req.Description, Topics: req.Topics, Types: req.Types, Entity: req.EntityID, Label: req.Label}
	if err := s.checkWebhook(c, &settings); err != nil {
		return err
	}
	resp, err := s.store.Webhooks.Create(c.Request().Context(), sub, settings, s.opts.Webhooks.Keys, func(made webhooks.Webhook, secret string) (store.Response, error) {
		return created("/webhooks/"+made.ID.String(), types.NewWebhook{Webhook: viewWebhook(made), Secret: secret})
	})
	return answered(c, resp, err, webhooks.ErrFull,
		problem(http.StatusConflict, fmt.Sprintf("The workspace has %d webhooks, which is the limit; delete one.", webhooks.MostOfWorkspace)))
}

// listWebhooks handles GET /webhooks.
func (s *Server) listWebhooks(c echo.Context) error {
	place := func(w webhooks.Webhook) (time.Time, uuid.UUID) { return w.CreatedAt, w.ID }
	return newestFirst(c, 200, place, viewWebhook, func(ctx context.Context, page store.Page, limit int) ([]webhooks.Webhook, error) {
		return s.store.Webhooks.List(ctx, workspaceOf(c), page, limit)
	})
}

// getWebhook handles GET /webhooks/:id.
func (s *Server) getWebhook(c echo.Context) error {
	return named(c, viewWebhook, s.store.Webhooks.Get)
}

// changeWebhook handles PATCH /webhooks/:id.
func (s *Server) changeWebhook(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var req types.WebhookChange
	if err := bind(c, &req); err != nil {
		return err
	}
	if req.State != nil && *req.State != types.WebhookState(webhooks.Active) && *req.State != types.WebhookState(webhooks.Paused) {
		return fieldProblem("state", "can be changed to active and paused", []webhooks.State{webhooks.Active, webhooks.Paused})
	}
	ctx := c.Request().Context()
	before, err := s.store.Webhooks.Get(ctx, workspaceOf(c), id)
	if err != nil {
		return err
	}
	// Outside of the transaction, as a name may be looked up.
	apply(&req, &before)
	if err := s.checkWebhook(c, &before.Settings); err != nil {
		return err
	}
	w, err := s.store.Webhooks.Change(ctx, workspaceOf(c), id, func(w *webhooks.Webhook) error {
		apply(&req, w)
		return nil
	})
	if err != nil {
		return err
	}
	return ok(c, viewWebhook(w))
}

func apply(req *types.WebhookChange, w *webhooks.Webhook) {
	assign(&w.URL, req.URL)
	assign(&w.Description, req.Description)
	assign(&w.Topics, req.Topics)
	assign(&w.Types, req.Types)
	assign(&w.Entity, req.EntityID)
	assign(&w.Label, req.Label)
	if req.State != nil {
		w.State = webhooks.State(*req.State)
	}
}

// assign takes over what is given.
func assign[T any](to, given *T) {
	if given != nil {
		*to = *given
	}
}

// deleteWebhook handles DELETE /webhooks/:id.
func (s *Server) deleteWebhook(c echo.Context) error {
	return removed(c, s.store.Webhooks.Delete)
}

// rotateWebhook handles POST /webhooks/:id/rotate.
func (s *Server) rotateWebhook(c echo.Context) error {
	if err := s.webhooksOn(); err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var req types.RotateRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	overlap := defaultOverlap
	if n := req.OverlapSeconds; n != nil {
		if *n < 0 || *n > int(maxOverlap.Seconds()) {
			return fieldProblem("overlap_seconds", fmt.Sprintf("must be from 0 to %d", int(maxOverlap.Seconds())), int(maxOverlap.Seconds()))
		}
		overlap = time.Duration(*n) * time.Second
	}
	resp, err := s.store.Webhooks.Rotate(c.Request().Context(), sub, id, overlap, s.opts.Webhooks.Keys, func(w webhooks.Webhook, secret string) (store.Response, error) {
		resp, err := created("", types.NewWebhook{Webhook: viewWebhook(w), Secret: secret})
		resp.Status = http.StatusOK
		return resp, err
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}

func renderDelivery(d webhooks.Delivery) ([]byte, error) { return json.Marshal(viewDelivery(d)) }

// testWebhook handles POST /webhooks/:id/test.
func (s *Server) testWebhook(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	sub, err := s.submission(c, &struct{}{})
	if err != nil {
		return err
	}
	resp, err := s.store.Webhooks.SendTest(c.Request().Context(), sub, id, renderDelivery)
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// redeliver handles POST /webhooks/:id/deliveries/:delivery/redeliver.
func (s *Server) redeliver(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	sub, err := s.submission(c, &struct{}{})
	if err != nil {
		return err
	}
	resp, err := s.store.Webhooks.Redeliver(c.Request().Context(), sub, id, c.Param("delivery"), renderDelivery)
	if err != nil {
		return err
	}
	return respond(c, resp)
}

// listDeliveries handles GET /webhooks/:id/deliveries.
func (s *Server) listDeliveries(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	state := c.QueryParam("state")
	if state != "" && !slices.Contains(webhooks.DeliveryStates(), state) {
		return badQuery("state", fmt.Sprintf("%q is not a state", state), webhooks.DeliveryStates())
	}
	var before int64
	if text := c.QueryParam("cursor"); text != "" {
		parts, err := unpackCursor(text, 1)
		if err != nil {
			return err
		}
		if before, err = strconv.ParseInt(parts[0], 10, 64); err != nil || before < 1 {
			return badCursor()
		}
	}
	cursor := func(d webhooks.Delivery) string { return packCursor(strconv.FormatInt(d.Seq, 10)) }
	return listed(c, 200, cursor, viewDelivery, func(ctx context.Context, limit int) ([]webhooks.Delivery, error) {
		return s.store.Webhooks.Deliveries(ctx, workspaceOf(c), id, state, before, limit)
	})
}
