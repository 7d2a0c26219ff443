package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
)

// adminCmd holds the verbs that need the admin token.
type adminCmd struct {
	Workspace struct {
		Create workspaceCreateCmd `cmd:"" help:"Make a workspace."`
		List   workspaceListCmd   `cmd:"" help:"List the workspaces."`
		Set    workspaceSetCmd    `cmd:"" help:"Change a workspace's name, cap or limits."`

		Reembed workspaceReembedCmd `cmd:"" help:"Embed its documents again, with another model, and switch to it."`
	} `cmd:"" help:"Keep workspaces."`
	Key struct {
		Create keyCreateCmd `cmd:"" help:"Make a key and print its secret, which is shown this once."`
		List   keyListCmd   `cmd:"" help:"List a workspace's keys."`
		Revoke keyRevokeCmd `cmd:"" help:"Revoke a key."`
	} `cmd:"" help:"Keep the keys of a workspace."`
}

// adminFlags say which server the admin verbs talk to.
type adminFlags struct {
	URL     string `name:"url" env:"MILLRACE_URL" help:"Address of the API."`
	Token   string `name:"admin-token" env:"ADMIN_TOKEN" help:"The server's admin token."`
	EnvFile string `name:"env-file" placeholder:"FILE" help:"Settings for what neither flag nor environment gives (by default ./.millrace/dev.env if it is there)."`
}

func (f adminFlags) open() (*client, error) {
	server := clientFlags{URL: f.URL, APIKey: f.Token, EnvFile: f.EnvFile}
	values, err := server.settings()
	if err != nil {
		return nil, err
	}
	if server.APIKey == "" && (f.URL == "" || f.EnvFile != "" || f.URL == values["MILLRACE_URL"]) {
		server.APIKey = values["ADMIN_TOKEN"]
	}
	if server.APIKey == "" {
		return nil, configError{errors.New("ADMIN_TOKEN is not set: name the server's admin token")}
	}
	if server.URL == "" {
		server.URL = values["MILLRACE_URL"]
	}
	return server.connect()
}

// change sends a request that changes something, once: what was lost on the way may have been done.
func (c *client) change(ctx context.Context, method, path string, v, into any) error {
	var body io.Reader
	if v != nil {
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	answer, _, err := c.send(req)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// eachOf reads a list page by page.
func eachOf[T any](ctx context.Context, c *client, path string, each func(T)) error {
	for cursor := ""; ; {
		raw, err := c.get(ctx, path+"?limit=200&cursor="+url.QueryEscape(cursor))
		if err != nil {
			return err
		}
		var page struct {
			Items      []T     `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return fmt.Errorf("read the list: %w", err)
		}
		for _, item := range page.Items {
			each(item)
		}
		if page.NextCursor == nil {
			return nil
		}
		cursor = *page.NextCursor
	}
}

// workspaceState is what the client shows of a workspace.
type workspaceState struct {
	WorkspaceID string         `json:"workspace_id"`
	Name        string         `json:"name"`
	TuneCap     int            `json:"tune_cap"`
	Limits      workspaceFlags `json:"limits"`
	CreatedAt   time.Time      `json:"created_at"`
}

// workspaceFlags are a workspace's own limits.
type workspaceFlags struct {
	Submissions *int `name:"submissions" json:"submissions_per_minute,omitempty" help:"Submissions a minute; 0 is the server's limit."`
	Queries     *int `name:"queries" json:"queries_per_minute,omitempty" help:"Queries a minute; 0 is the server's limit."`
	QueueDepth  *int `name:"queue-depth" json:"queue_depth,omitempty" help:"Work that may wait; 0 is the server's limit."`
}

// workspaceChange is a request to make or change a workspace.
type workspaceChange struct {
	Name    string         `json:"name,omitempty"`
	TuneCap *int           `json:"tune_cap,omitempty"`
	Limits  workspaceFlags `json:"limits"`
}

// workspaceCreateCmd is the verb `admin workspace create`.
type workspaceCreateCmd struct {
	adminFlags
	workspaceFlags
	Name    string `arg:"" help:"Name of the workspace."`
	TuneCap *int   `help:"Tunes it may have at work at once; by default 2."`
}

// Run makes the workspace.
func (c *workspaceCreateCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	var made workspaceState
	err = api.change(ctx, http.MethodPost, "/admin/workspaces", workspaceChange{c.Name, c.TuneCap, c.workspaceFlags}, &made)
	if err != nil {
		return err
	}
	return printWorkspaces(env.stdout, made)
}

// workspaceListCmd is the verb `admin workspace list`.
type workspaceListCmd struct{ adminFlags }

// Run lists them.
func (c *workspaceListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	var all []workspaceState
	if err := eachOf(ctx, api, "/admin/workspaces", func(w workspaceState) { all = append(all, w) }); err != nil {
		return err
	}
	return printWorkspaces(env.stdout, all...)
}

// workspaceSetCmd is the verb `admin workspace set`.
type workspaceSetCmd struct {
	adminFlags
	workspaceFlags
	Workspace string `arg:"" help:"Name or id of the workspace."`
	Rename    string `help:"A new name."`
	TuneCap   *int   `help:"Tunes it may have at work at once."`
}

// Run changes it.
func (c *workspaceSetCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	path, err := api.workspacePath(ctx, c.Workspace)
	if err != nil {
		return err
	}
	var changed workspaceState
	if err := api.change(ctx, http.MethodPatch, path, workspaceChange{c.Rename, c.TuneCap, c.workspaceFlags}, &changed); err != nil {
		return err
	}
	return printWorkspaces(env.stdout, changed)
}

// workspacePath finds a workspace by its id or name.
func (c *client) workspacePath(ctx context.Context, named string) (string, error) {
	if id, err := uuid.Parse(named); err == nil {
		return "/admin/workspaces/" + id.String(), nil
	}
	raw, err := c.get(ctx, "/admin/workspaces?name="+url.QueryEscape(named))
	if err != nil {
		return "", err
	}
	var page struct {
		Items []workspaceState `json:"items"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return "", fmt.Errorf("read the list: %w", err)
	}
	if len(page.Items) == 0 {
		return "", fmt.Errorf("there is no workspace %q", named)
	}
	return "/admin/workspaces/" + page.Items[0].WorkspaceID, nil
}

func printWorkspaces(w io.Writer, all ...workspaceState) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"id", "name", "tune cap", "submissions/min", "queries/min", "queue depth", "created"})
	for _, w := range all {
		writeRow(out, []string{
			w.WorkspaceID, w.Name, strconv.Itoa(w.TuneCap), orDash(w.Limits.Submissions), orDash(w.Limits.Queries),
			orDash(w.Limits.QueueDepth), w.CreatedAt.Format(time.RFC3339),
		})
	}
	return out.Flush()
}

// orDash prints a limit, or a dash where the server's own holds.
func orDash(n *int) string {
	if n == nil {
		return "–"
	}
	return strconv.Itoa(*n)
}
