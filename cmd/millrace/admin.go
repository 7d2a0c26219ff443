package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"millrace/api/client"
	"millrace/api/types"
)

// adminCmd holds the verbs that need the admin token.
type adminCmd struct {
	Workspace struct {
		Create workspaceCreateCmd `cmd:"" help:"Create a workspace."`
		List   workspaceListCmd   `cmd:"" help:"List the workspaces."`
		Usage  workspaceUsageCmd  `cmd:"" help:"Show a workspace's quotas and what it has of them."`
		Set    workspaceSetCmd    `cmd:"" help:"Change a workspace's name, cap, limits or quotas."`
		Delete workspaceDeleteCmd `cmd:"" help:"Delete a workspace with all that it has, for good."`

		Reembed workspaceReembedCmd `cmd:"" help:"Embed its documents again, with another model, and switch to it."`
	} `cmd:"" help:"Create, list, change and delete workspaces."`
	Key struct {
		Create keyCreateCmd `cmd:"" help:"Create a key and print its secret, which is shown this once."`
		List   keyListCmd   `cmd:"" help:"List a workspace's keys."`
		Revoke keyRevokeCmd `cmd:"" help:"Revoke a key."`
	} `cmd:"" help:"Create, list and revoke the keys of a workspace."`
	Token struct {
		Create tokenCreateCmd `cmd:"" help:"Create a token for an admin of a name, and print its secret, which is shown this once."`
		List   tokenListCmd   `cmd:"" help:"List the tokens of admins."`
		Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token."`
	} `cmd:"" help:"Create, list and revoke the tokens of admins by name."`
	Audit struct {
		List   auditListCmd   `cmd:"" help:"Show who changed what, newest first."`
		Export auditExportCmd `cmd:"" help:"Write every entry of the audit log as a line of JSON."`
		Verify auditVerifyCmd `cmd:"" help:"Read the audit log's chain from its beginning and say where it breaks; the exit status is 1 if it does."`
	} `cmd:"" help:"Read and verify the audit log."`
	Fleet struct {
		Demand fleetDemandCmd `cmd:"" help:"Show how many slots each queue could use, and how many it has."`
	} `cmd:"" help:"Size the fleet of workers."`
}

// adminFlags say which server the admin verbs talk to.
type adminFlags struct {
	URL     string `name:"url" env:"MILLRACE_URL" help:"Address of the API."`
	Token   string `name:"admin-token" env:"ADMIN_TOKEN" help:"The server's admin token, or that of a named admin."`
	EnvFile string `name:"env-file" placeholder:"FILE" help:"Settings for what neither flag nor environment gives (by default ./.millrace/dev.env if it is there)."`
}

func (f adminFlags) open() (*client.Client, error) {
	server, err := f.server()
	if err != nil {
		return nil, err
	}
	return server.connect()
}

// server is what the flags, the environment and the settings file say together. The token of a
// settings file is given only to its own server.
func (f adminFlags) server() (clientFlags, error) {
	server := clientFlags{URL: f.URL, APIKey: f.Token, EnvFile: f.EnvFile}
	values, err := server.settings()
	if err != nil {
		return server, err
	}
	if server.APIKey == "" && (f.URL == "" || f.EnvFile != "" || f.URL == values["MILLRACE_URL"]) {
		server.APIKey = values["ADMIN_TOKEN"]
	}
	if server.APIKey == "" {
		return server, configError{errors.New("ADMIN_TOKEN is not set: name the server's admin token")}
	}
	if server.URL == "" {
		server.URL = values["MILLRACE_URL"]
	}
	return server, nil
}

// workspaceFlags are a workspace's own limits.
type workspaceFlags struct {
	Submissions *int `name:"submissions" help:"Submissions a minute; 0 is the server's limit."`
	Queries     *int `name:"queries" help:"Queries a minute; 0 is the server's limit."`
	QueueDepth  *int `name:"queue-depth" help:"Work that may wait; 0 is the server's limit."`
	Trials      *int `name:"trials-per-day" help:"Trials that may be submitted from midnight UTC on; 0 is any."`
	Bytes       *int `name:"bytes" help:"Bytes of bars and documents that it may have; 0 is any."`
	Datasets    *int `name:"datasets" help:"Datasets, by name, that it may have; 0 is any."`
	Documents   *int `name:"documents" help:"Documents that it may have; 0 is any."`
}

// request is the flags as the API takes them; a name that is empty is not given.
func (f workspaceFlags) request(name string, tuneCap *int) types.WorkspaceRequest {
	req := types.WorkspaceRequest{TuneCap: tuneCap, Limits: types.LimitsRequest{
		SubmissionsPerMinute: f.Submissions, QueriesPerMinute: f.Queries, QueueDepth: f.QueueDepth,
		TrialsPerDay: f.Trials, Bytes: f.Bytes, Datasets: f.Datasets, Documents: f.Documents,
	}}
	if name != "" {
		req.Name = &name
	}
	return req
}

// workspaceCreateCmd is the verb `admin workspace create`.
type workspaceCreateCmd struct {
	adminFlags
	workspaceFlags
	Name    string `arg:"" help:"Name of the workspace."`
	TuneCap *int   `help:"Tunes it may run at once; by default 2."`
}

// Run creates the workspace.
func (c *workspaceCreateCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	made, err := api.CreateWorkspace(ctx, c.request(c.Name, c.TuneCap))
	if err != nil {
		return err
	}
	return printWorkspaces(env.stdout, *made)
}

// workspaceListCmd is the verb `admin workspace list`.
type workspaceListCmd struct{ adminFlags }

// Run lists them.
func (c *workspaceListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	var all []types.Workspace
	err = client.Each(ctx, api.Workspaces, func(w types.Workspace) error {
		all = append(all, w)
		return nil
	})
	if err != nil {
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
	TuneCap   *int   `help:"Tunes it may run at once."`
}

// Run changes it.
func (c *workspaceSetCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	id, err := workspaceID(ctx, api, c.Workspace)
	if err != nil {
		return err
	}
	changed, err := api.ChangeWorkspace(ctx, id, c.request(c.Rename, c.TuneCap))
	if err != nil {
		return err
	}
	return printWorkspaces(env.stdout, *changed)
}

// workspaceID finds a workspace by its id or name.
func workspaceID(ctx context.Context, api *client.Client, named string) (string, error) {
	if id, err := uuid.Parse(named); err == nil {
		return id.String(), nil
	}
	found, err := api.Workspaces(ctx, url.Values{"name": {named}})
	if err != nil {
		return "", err
	}
	if len(found.Items) == 0 {
		return "", fmt.Errorf("no workspace %q; `millrace admin workspace list` shows names and ids", named)
	}
	return found.Items[0].WorkspaceID, nil
}

func printWorkspaces(w io.Writer, all ...types.Workspace) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"id", "name", "tune cap", "submissions/min", "queries/min", "queue depth", "created"})
	for _, w := range all {
		writeRow(out, []string{
			w.WorkspaceID, w.Name, strconv.Itoa(w.TuneCap), orDash(w.Limits.SubmissionsPerMinute), orDash(w.Limits.QueriesPerMinute),
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
