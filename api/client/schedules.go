package client

import (
	"context"
	"net/http"
	"net/url"

	"millrace/api/types"
)

func schedulePath(id string) string { return "/schedules/" + url.PathEscape(id) }

// AddSchedule makes a schedule, once however often it is sent. key is the idempotency key; "" makes one.
func (c *Client) AddSchedule(ctx context.Context, key string, body types.ScheduleBody) (*types.Schedule, error) {
	return create[types.Schedule](ctx, c, "/schedules", key, body)
}

// Schedules lists the schedules, newest first; query may hold cursor and limit.
func (c *Client) Schedules(ctx context.Context, query url.Values) (*types.List[types.Schedule], error) {
	return get[types.List[types.Schedule]](ctx, c, "/schedules", query)
}

// Schedule reads a schedule with its next slot and its last run.
func (c *Client) Schedule(ctx context.Context, id string) (*types.Schedule, error) {
	return get[types.Schedule](ctx, c, schedulePath(id), nil)
}

// ChangeSchedule pauses, resumes or changes a schedule.
func (c *Client) ChangeSchedule(ctx context.Context, id string, change types.ScheduleChange) (*types.Schedule, error) {
	return send[types.Schedule](ctx, c, call{method: http.MethodPatch, path: schedulePath(id), once: true}, change)
}

// RunSchedule runs a schedule now. key is the idempotency key; "" makes one.
func (c *Client) RunSchedule(ctx context.Context, id, key string) (*types.ScheduleSlot, error) {
	return create[types.ScheduleSlot](ctx, c, schedulePath(id)+"/run", key, nil)
}

// ScheduleHistory lists the runs of a schedule and what changed, newest first; query may hold cursor and limit.
func (c *Client) ScheduleHistory(ctx context.Context, id string, query url.Values) (*types.List[types.ScheduleSlot], error) {
	return get[types.List[types.ScheduleSlot]](ctx, c, schedulePath(id)+"/history", query)
}

// DeleteSchedule deletes a schedule and its history.
func (c *Client) DeleteSchedule(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: schedulePath(id), once: true}, nil)
}
