package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"millrace/api/types"
)

// The methods of this file take a client whose key is the server's admin token.

// Workspaces lists every workspace, newest first, or the one of a name; query may hold name, cursor
// and limit.
func (c *Client) Workspaces(ctx context.Context, query url.Values) (*types.List[types.Workspace], error) {
	return get[types.List[types.Workspace]](ctx, c, "/admin/workspaces", query)
}

// Workspace reads a workspace and what it has of that which quotas limit.
func (c *Client) Workspace(ctx context.Context, id string) (*types.WorkspaceUsage, error) {
	return get[types.WorkspaceUsage](ctx, c, "/admin/workspaces/"+url.PathEscape(id), nil)
}

// CreateWorkspace makes a workspace, once however often it is sent.
func (c *Client) CreateWorkspace(ctx context.Context, body types.WorkspaceRequest) (*types.Workspace, error) {
	return create[types.Workspace](ctx, c, "/admin/workspaces", "", body)
}

// ChangeWorkspace changes what body names; a limit of 0 restores the server's own.
func (c *Client) ChangeWorkspace(ctx context.Context, id string, body types.WorkspaceRequest) (*types.Workspace, error) {
	return send[types.Workspace](ctx, c, call{method: http.MethodPatch, path: "/admin/workspaces/" + url.PathEscape(id), once: true}, body)
}

// DeleteWorkspace deletes a workspace with all that it has, once confirm is its name; with dryRun it answers what that is.
// Repeating it is answered with the deletion that runs.
func (c *Client) DeleteWorkspace(ctx context.Context, id, confirm string, dryRun bool) (*types.WorkspaceDeletion, error) {
	query := url.Values{"dry_run": {strconv.FormatBool(dryRun)}}
	if confirm != "" {
		query.Set("confirm", confirm)
	}
	return send[types.WorkspaceDeletion](ctx, c, call{method: http.MethodDelete, path: "/admin/workspaces/" + url.PathEscape(id), query: query}, nil)
}

// WorkspaceDeletion reads how far the deletion of a workspace is.
func (c *Client) WorkspaceDeletion(ctx context.Context, workspace string) (*types.WorkspaceDeletion, error) {
	return get[types.WorkspaceDeletion](ctx, c, "/admin/workspace-deletions/"+url.PathEscape(workspace), nil)
}

// WorkspaceDeletions lists the workspaces that were deleted, newest first; query may hold cursor and limit.
func (c *Client) WorkspaceDeletions(ctx context.Context, query url.Values) (*types.List[types.WorkspaceDeletion], error) {
	return get[types.List[types.WorkspaceDeletion]](ctx, c, "/admin/workspace-deletions", query)
}

// Keys lists a workspace's keys, newest first; query may hold cursor and limit.
func (c *Client) Keys(ctx context.Context, workspace string, query url.Values) (*types.List[types.Key], error) {
	return get[types.List[types.Key]](ctx, c, "/admin/workspaces/"+url.PathEscape(workspace)+"/keys", query)
}

// CreateKey makes a key, once however often it is sent, whose secret nobody can show again.
func (c *Client) CreateKey(ctx context.Context, workspace string, body types.KeyRequest) (*types.NewKey, error) {
	return create[types.NewKey](ctx, c, "/admin/workspaces/"+url.PathEscape(workspace)+"/keys", "", body)
}

// RevokeKey revokes a key of a workspace.
func (c *Client) RevokeKey(ctx context.Context, workspace, key string) error {
	path := "/admin/workspaces/" + url.PathEscape(workspace) + "/keys/" + url.PathEscape(key)
	return c.do(ctx, call{method: http.MethodDelete, path: path, once: true}, nil)
}

// AdminTokens lists the tokens of named admins, newest first; query may hold cursor and limit.
func (c *Client) AdminTokens(ctx context.Context, query url.Values) (*types.List[types.AdminToken], error) {
	return get[types.List[types.AdminToken]](ctx, c, "/admin/tokens", query)
}

// CreateAdminToken makes a token for an admin, once however often it is sent, whose secret nobody can show again.
func (c *Client) CreateAdminToken(ctx context.Context, body types.AdminTokenRequest) (*types.NewAdminToken, error) {
	return create[types.NewAdminToken](ctx, c, "/admin/tokens", "", body)
}

// RevokeAdminToken revokes a token of a named admin.
func (c *Client) RevokeAdminToken(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/admin/tokens/" + url.PathEscape(id), once: true}, nil)
}

// Reembed moves a workspace to another embedding model. key is the idempotency key; "" makes one.
func (c *Client) Reembed(ctx context.Context, workspace, key string, body types.ReembedRequest) (*types.Reembed, error) {
	return create[types.Reembed](ctx, c, "/admin/workspaces/"+url.PathEscape(workspace)+"/reembed", key, body)
}

// ReembedState reads such a move.
func (c *Client) ReembedState(ctx context.Context, id string) (*types.Reembed, error) {
	return get[types.Reembed](ctx, c, "/admin/reembeds/"+url.PathEscape(id), nil)
}

// Each calls fn with every item of a list, page by page, until fn returns an error. list is a method
// such as Client.Datasets.
func Each[T any](ctx context.Context, list func(context.Context, url.Values) (*types.List[T], error), fn func(T) error) error {
	query := url.Values{"limit": {"200"}}
	for {
		page, err := list(ctx, query)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := fn(item); err != nil {
				return err
			}
		}
		if page.NextCursor == nil {
			return nil
		}
		query.Set("cursor", *page.NextCursor)
	}
}

// FleetDemand is how many slots each queue could use, and how many it has.
func (c *Client) FleetDemand(ctx context.Context) (*types.FleetDemand, error) {
	return get[types.FleetDemand](ctx, c, "/admin/fleet/demand", nil)
}
