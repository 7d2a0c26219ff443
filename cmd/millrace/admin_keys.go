package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

// keyState is what the client shows of a key.
type keyState struct {
	KeyID      string     `json:"key_id"`
	Name       string     `json:"name"`
	Role       string     `json:"role"`
	Secret     string     `json:"secret"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

// keyCreateCmd is the verb `admin key create`.
type keyCreateCmd struct {
	adminFlags
	Workspace string        `arg:"" help:"Name or id of the workspace."`
	Name      string        `arg:"" help:"What the key is for."`
	Role      string        `default:"member" enum:"viewer,member,admin,owner" help:"What it may do: viewer, member, admin or owner."`
	Expires   time.Duration `placeholder:"720h" help:"How long it works; by default for ever."`
}

// Run makes the key. Only the secret goes to standard output, so that a script can take it.
func (c *keyCreateCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	path, err := api.workspacePath(ctx, c.Workspace)
	if err != nil {
		return err
	}
	request := struct {
		Name      string     `json:"name"`
		Role      string     `json:"role"`
		ExpiresAt *time.Time `json:"expires_at,omitempty"`
	}{Name: c.Name, Role: c.Role}
	if c.Expires > 0 {
		at := time.Now().Add(c.Expires).UTC()
		request.ExpiresAt = &at
	}
	var made keyState
	if err := api.change(ctx, http.MethodPost, path+"/keys", request, &made); err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "key %s  %s  %s; its secret is shown this once:\n", made.KeyID, printable(made.Name), printable(made.Role))
	_, err = fmt.Fprintln(env.stdout, printable(made.Secret))
	return err
}

// keyListCmd is the verb `admin key list`.
type keyListCmd struct {
	adminFlags
	Workspace string `arg:"" help:"Name or id of the workspace."`
}

// Run lists the keys.
func (c *keyListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	path, err := api.workspacePath(ctx, c.Workspace)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"id", "name", "role", "created", "last used", "expires", "revoked"})
	err = eachOf(ctx, api, path+"/keys", func(k keyState) {
		writeRow(out, []string{k.KeyID, k.Name, k.Role, moment(&k.CreatedAt), moment(k.LastUsedAt), moment(k.ExpiresAt), moment(k.RevokedAt)})
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// moment prints a time, or a dash where there is none.
func moment(at *time.Time) string {
	if at == nil {
		return "–"
	}
	return at.UTC().Format(time.RFC3339)
}

// keyRevokeCmd is the verb `admin key revoke`.
type keyRevokeCmd struct {
	adminFlags
	Workspace string `arg:"" help:"Name or id of the workspace."`
	Key       string `arg:"" help:"Id of the key."`
}

// Run revokes it.
func (c *keyRevokeCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	path, err := api.workspacePath(ctx, c.Workspace)
	if err != nil {
		return err
	}
	if err := api.change(ctx, http.MethodDelete, path+"/keys/"+url.PathEscape(c.Key), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "key %s revoked\n", printable(c.Key))
	return err
}
