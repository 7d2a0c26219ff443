package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"millrace/api/client"
	"millrace/api/types"
)

// keyCreateCmd is the verb `admin key create`.
type keyCreateCmd struct {
	adminFlags
	Workspace string        `arg:"" help:"Name or id of the workspace."`
	Name      string        `arg:"" help:"What the key is for."`
	Role      string        `default:"member" enum:"viewer,member,admin,owner" help:"What it may do: viewer, member, admin or owner."`
	Expires   time.Duration `placeholder:"720h" help:"How long it works; by default without end."`
}

// Run makes the key. Only the secret goes to standard output, so that a script can take it.
func (c *keyCreateCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	workspace, err := workspaceID(ctx, api, c.Workspace)
	if err != nil {
		return err
	}
	request := types.KeyRequest{Name: c.Name, Role: types.Role(c.Role)}
	if c.Expires > 0 {
		at := time.Now().Add(c.Expires).UTC()
		request.ExpiresAt = &at
	}
	made, err := api.CreateKey(ctx, workspace, request)
	if err != nil {
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
	workspace, err := workspaceID(ctx, api, c.Workspace)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"id", "name", "role", "created", "last used", "expires", "revoked"})
	keys := func(ctx context.Context, query url.Values) (*types.List[types.Key], error) {
		return api.Keys(ctx, workspace, query)
	}
	err = client.Each(ctx, keys, func(k types.Key) error {
		writeRow(out, []string{k.KeyID, k.Name, string(k.Role), moment(&k.CreatedAt), moment(k.LastUsedAt), moment(k.ExpiresAt), moment(k.RevokedAt)})
		return nil
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
	Key       string `arg:"" help:"Name or id of the key."`
}

// Run revokes it.
func (c *keyRevokeCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	workspace, err := workspaceID(ctx, api, c.Workspace)
	if err != nil {
		return err
	}
	id, err := keyID(ctx, api, workspace, c.Key)
	if err != nil {
		return err
	}
	err = api.RevokeKey(ctx, workspace, id)
	if client.IsNotFound(err) {
		return fmt.Errorf("no key %q in workspace %q; `millrace admin key list` shows names and ids", c.Key, c.Workspace)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "key %s revoked\n", printable(c.Key))
	return err
}

// keyID is the id of the key that works and has the name, or what was given when none has. Names are not
// unique: of two keys the user has to say which.
func keyID(ctx context.Context, api *client.Client, workspace, given string) (string, error) {
	if uuid.Validate(given) == nil {
		return given, nil
	}
	keys := func(ctx context.Context, query url.Values) (*types.List[types.Key], error) {
		return api.Keys(ctx, workspace, query)
	}
	var ids []string
	err := client.Each(ctx, keys, func(k types.Key) error {
		if k.Name == given && k.RevokedAt == nil {
			ids = append(ids, k.KeyID)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(ids) == 0:
		return given, nil
	case len(ids) > 1:
		return "", fmt.Errorf("%d keys have the name %q; name one by its id: %s", len(ids), given, strings.Join(ids, ", "))
	}
	return ids[0], nil
}
