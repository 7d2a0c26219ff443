package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// webhook is a webhook of the API with what its pages ask of it.
type webhook struct{ types.Webhook }

// Status is where it is, in a word: one that is active and fails is failing.
func (w webhook) Status() string {
	if w.FailingSince != nil && w.State == "active" {
		return "failing"
	}
	return string(w.State)
}

// Name is what its owner calls it, or else the host that it posts to.
func (w webhook) Name() string {
	if w.Description != "" {
		return w.Description
	}
	if u, err := url.Parse(w.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return "Webhook"
}

// Accepted is how many messages its receiver has accepted.
func (w webhook) Accepted() int { return int(w.Delivered) }

// Resumes says what its button does that has it deliver at once; "" where there is nothing to do.
func (w webhook) Resumes() string {
	switch {
	case w.State != "active":
		return "Resume"
	case w.RetryAt != nil:
		return "Try now"
	}
	return ""
}

// delivery is a message of a webhook with what its page asks of it.
type delivery struct{ types.Delivery }

// Sendable reports whether it can be sent again: it is not about to be.
func (d delivery) Sendable() bool { return d.State != "pending" }

// Undelivered reports whether the last attempt at it failed.
func (d delivery) Undelivered() bool { return d.State == "failed" || d.State == "retrying" }

// Webhooks handles GET /admin/webhooks.
func (p *Pages) Webhooks(c echo.Context) error {
	return p.showWebhooks(c, http.StatusOK, nil, types.WebhookRequest{})
}

func (p *Pages) showWebhooks(c echo.Context, status int, problem *Problem, form types.WebhookRequest) error {
	v, err := p.page(c, "Webhooks", "Webhooks")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "webhooks", err)
	}
	query := pageQuery(c, "cursor")
	query.Set("limit", "50")
	var found types.List[webhook]
	if err := p.get(c, v, "/webhooks", query, &found); err != nil {
		return err
	}
	query.Del("limit")
	v.Problem, v.Every = problem, 10
	v.Data = struct {
		Webhooks []webhook
		Topics   []string
		Form     types.WebhookRequest
		Key      string // a form that is sent twice makes one webhook
		Pager    pager
	}{found.Items, p.opts.Reads.Topics(), form, "console-" + uuid.NewString(), newPager(c, query, found.NextCursor)}
	return p.render(c, status, "webhooks", v)
}

// Webhook handles GET /admin/webhooks/:id.
func (p *Pages) Webhook(c echo.Context) error {
	return p.showWebhook(c, c.Param("id"), http.StatusOK, nil, "")
}

// showWebhook shows a new secret once, in the answer to the request that made it.
func (p *Pages) showWebhook(c echo.Context, id string, status int, problem *Problem, secret string) error {
	v, at, err := p.webhookPage(c, id)
	if err != nil {
		return err
	}
	var found webhook
	if err := p.get(c, v, at, nil, &found); err != nil {
		return err
	}
	query := pageQuery(c, "cursor", "state")
	query.Set("limit", "25")
	var sent types.List[delivery]
	if err := p.get(c, v, at+"/deliveries", query, &sent); err != nil {
		return err
	}
	query.Del("limit")
	v.Title, v.Problem, v.Every = found.Name(), problem, 10
	v.Data = struct {
		Webhook    webhook
		Deliveries []delivery
		State      string
		States     []string
		Secret     string
		Key        string // of a rotation, a test or a redelivery: a form that is sent twice is one
		Pager      pager
	}{found, sent.Items, c.QueryParam("state"), []string{"failed", "retrying", "pending", "delivered"}, secret, "console-" + uuid.NewString(), newPager(c, query, sent.NextCursor)}
	return p.render(c, status, "webhook", v)
}

// webhookPage is the frame of the page of one webhook, and where the API has that.
func (p *Pages) webhookPage(c echo.Context, id string) (v *view, at string, err error) {
	if v, err = p.page(c, "Webhooks", "Webhook"); err != nil {
		return nil, "", err
	}
	if v.Workspace == nil {
		return nil, "", notFound()
	}
	return v, "/webhooks/" + url.PathEscape(id), nil
}

// CreateWebhook handles POST /admin/webhooks, and shows the webhook with its secret.
func (p *Pages) CreateWebhook(c echo.Context) error {
	v, at, err := p.webhookPage(c, "")
	if err != nil {
		return err
	}
	values, err := c.FormParams()
	if err != nil {
		return p.Error(c, Problem{Status: http.StatusBadRequest, Title: "The form cannot be read"})
	}
	form := types.WebhookRequest{
		URL: strings.TrimSpace(values.Get("url")), Description: strings.TrimSpace(values.Get("description")), Topics: values["topic"],
		Types: strings.FieldsFunc(values.Get("types"), func(r rune) bool { return r == ',' || r == ' ' }), Label: strings.TrimSpace(values.Get("label")),
	}
	var made types.NewWebhook
	answer, err := p.post(c, v, strings.TrimSuffix(at, "/"), values.Get("key"), form)
	if err == nil {
		err = answer.into(&made)
	}
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showWebhooks(c, problem.Status, problem, form)
	}
	return p.showWebhook(c, made.WebhookID, http.StatusCreated, nil, made.Secret)
}

// PauseWebhook handles POST /admin/webhooks/:id/pause.
func (p *Pages) PauseWebhook(c echo.Context) error { return p.setState(c, "paused") }

// ResumeWebhook handles POST /admin/webhooks/:id/resume.
func (p *Pages) ResumeWebhook(c echo.Context) error { return p.setState(c, "active") }

func (p *Pages) setState(c echo.Context, state types.WebhookState) error {
	return p.changeWebhook(c, func(v *view, at string) (string, error) {
		raw, err := json.Marshal(types.WebhookChange{State: &state})
		if err != nil {
			return "", err
		}
		_, err = p.call(c, v, Request{Method: http.MethodPatch, Path: at, Body: strings.NewReader(string(raw))})
		return "", err
	})
}

// RotateWebhook handles POST /admin/webhooks/:id/rotate.
func (p *Pages) RotateWebhook(c echo.Context) error {
	return p.changeWebhook(c, func(v *view, at string) (string, error) {
		overlap := int((24 * time.Hour).Seconds())
		if c.FormValue("leaked") != "" {
			overlap = 0
		}
		answer, err := p.post(c, v, at+"/rotate", c.FormValue("key"), types.RotateRequest{OverlapSeconds: &overlap})
		if err != nil {
			return "", err
		}
		var made types.NewWebhook
		err = answer.into(&made)
		return made.Secret, err
	})
}

// TestWebhook handles POST /admin/webhooks/:id/test.
func (p *Pages) TestWebhook(c echo.Context) error {
	return p.changeWebhook(c, func(v *view, at string) (string, error) {
		_, err := p.post(c, v, at+"/test", c.FormValue("key"), struct{}{})
		return "", err
	})
}

// Redeliver handles POST /admin/webhooks/:id/deliveries/:delivery/redeliver.
func (p *Pages) Redeliver(c echo.Context) error {
	return p.changeWebhook(c, func(v *view, at string) (string, error) {
		_, err := p.post(c, v, at+"/deliveries/"+url.PathEscape(c.Param("delivery"))+"/redeliver", c.FormValue("key"), struct{}{})
		return "", err
	})
}

// changeWebhook does what a button says, and shows the webhook again: with the secret that was made, or with what
// the API refused.
func (p *Pages) changeWebhook(c echo.Context, do func(v *view, at string) (secret string, err error)) error {
	v, at, err := p.webhookPage(c, c.Param("id"))
	if err != nil {
		return err
	}
	secret, err := do(v, at)
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showWebhook(c, c.Param("id"), problem.Status, problem, "")
	}
	if secret != "" {
		return p.showWebhook(c, c.Param("id"), http.StatusOK, nil, secret)
	}
	return c.Redirect(http.StatusSeeOther, "/admin/webhooks/"+url.PathEscape(c.Param("id")))
}

// DeleteWebhook handles POST /admin/webhooks/:id/delete.
func (p *Pages) DeleteWebhook(c echo.Context) error {
	v, at, err := p.webhookPage(c, c.Param("id"))
	if err != nil {
		return err
	}
	if _, err := p.call(c, v, Request{Method: http.MethodDelete, Path: at}); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/webhooks")
}
