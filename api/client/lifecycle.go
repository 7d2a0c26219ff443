package client

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"millrace/api/types"
)

// kindPaths are where things of a kind are.
func kindPaths() map[string]string {
	return map[string]string{
		"tune": "/backtests/tunes/", "wfo": "/backtests/wfo/", "run_plan": "/run-plans/", "run": "/backtests/runs/", "dataset": "/datasets/",
		"document": "/documents/", "strategy": "/strategies/",
	}
}

func pathOf(kind, id string) (string, error) {
	path := kindPaths()[kind]
	if path == "" {
		return "", fmt.Errorf("kind %q: want one of %s", kind, strings.Join(slices.Sorted(maps.Keys(kindPaths())), ", "))
	}
	return path + url.PathEscape(id), nil
}

// DeleteOptions say what a deletion takes along.
type DeleteOptions struct {
	Cascade     bool // what depends on it goes too, and what has not ended is cancelled
	DryRun      bool // nothing is deleted: the answer says what would be
	AllVersions bool // of a dataset
}

// Delete deletes something of a kind: tune, wfo, run_plan, run, dataset, document or strategy. Of the last two the
// answer is empty but for a dry run. Repeating it is answered with the deletion that runs.
func (c *Client) Delete(ctx context.Context, kind, id string, opts DeleteOptions) (*types.Deletion, error) {
	path, err := pathOf(kind, id)
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	for name, set := range map[string]bool{"cascade": opts.Cascade, "dry_run": opts.DryRun} {
		if set {
			query.Set(name, strconv.FormatBool(set))
		}
	}
	if opts.AllVersions {
		query.Set("versions", "all")
	}
	return send[types.Deletion](ctx, c, call{method: http.MethodDelete, path: path, query: query}, nil)
}

// Deletion reads how far a deletion is.
func (c *Client) Deletion(ctx context.Context, id string) (*types.Deletion, error) {
	return get[types.Deletion](ctx, c, "/deletions/"+url.PathEscape(id), nil)
}

// Deletions lists the deletions, newest first, from a page's cursor on.
func (c *Client) Deletions(ctx context.Context, query url.Values) (*types.List[types.Deletion], error) {
	return get[types.List[types.Deletion]](ctx, c, "/deletions", query)
}

// Archive takes something of a kind out of the lists, or with archived false puts it back.
func (c *Client) Archive(ctx context.Context, kind, id string, archived bool) (*types.Archived, error) {
	path, err := pathOf(kind, id)
	if err != nil {
		return nil, err
	}
	verb := "/restore"
	if archived {
		verb = "/archive"
	}
	return send[types.Archived](ctx, c, call{method: http.MethodPost, path: path + verb}, nil)
}

// Bulk does one action on all that a filter finds; with DryRun it answers how many these are, which Confirm has to name. It
// continues where an answer was lost.
func (c *Client) Bulk(ctx context.Context, body types.BulkRequest) (*types.BulkResult, error) {
	return create[types.BulkResult](ctx, c, "/bulk", "", body)
}
