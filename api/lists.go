package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/store"
)

// newestFirst answers a page of a list that is read from the newest on, by place: 50 items, or from 1 to most as limit says.
func newestFirst[T, V any](
	c echo.Context, most int, place func(T) (time.Time, uuid.UUID), view func(T) V, read func(ctx context.Context, page store.Page, limit int) ([]T, error),
) error {
	page, err := queryPage(c)
	if err != nil {
		return err
	}
	cursor := func(item T) string { return pageCursor(place(item)) }
	return listed(c, most, cursor, view, func(ctx context.Context, limit int) ([]T, error) { return read(ctx, page, limit) })
}

// listed answers a page of a list whose cursor is the caller's. read is asked for an item more than the page has.
func listed[T, V any](c echo.Context, most int, cursor func(T) string, view func(T) V, read func(ctx context.Context, limit int) ([]T, error)) error {
	limit, err := queryInt(c, "limit", 50, 1, most)
	if err != nil {
		return err
	}
	found, err := read(c.Request().Context(), limit+1)
	if err != nil {
		return err
	}
	kept := paged(found, limit, cursor)
	views := types.List[V]{Items: make([]V, len(kept.Items)), NextCursor: kept.NextCursor}
	for i, item := range kept.Items {
		views.Items[i] = view(item)
	}
	return ok(c, views)
}

// named answers what the path's id names in the workspace.
func named[T, V any](c echo.Context, view func(T) V, read func(ctx context.Context, workspace, id uuid.UUID) (T, error)) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	found, err := read(c.Request().Context(), workspaceOf(c), id)
	if err != nil {
		return err
	}
	return ok(c, view(found))
}

// removed deletes what the path's id names in the workspace.
func removed(c echo.Context, remove func(ctx context.Context, workspace, id uuid.UUID) error) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := remove(c.Request().Context(), workspaceOf(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// answered answers with what a submission stored; where it was refused for the reason that is named, with refusal.
func answered(c echo.Context, resp store.Response, err, reason, refusal error) error {
	if errors.Is(err, reason) {
		return refusal
	}
	if err != nil {
		return err
	}
	return respond(c, resp)
}
