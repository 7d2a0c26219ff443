package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"millrace/api/client"
	"millrace/api/types"
)

// tokenCreateCmd is the verb `admin token create`.
type tokenCreateCmd struct {
	adminFlags
	Name    string        `arg:"" help:"The admin's name. Of the tokens that work one has it: to replace one without a gap, create the next as NAME-2 and revoke the last afterwards."`
	Expires time.Duration `placeholder:"2160h" help:"How long it works; by default without end."`
}

// Run makes the token. Only the secret goes to standard output, so that a script can take it.
func (c *tokenCreateCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	request := types.AdminTokenRequest{Name: c.Name}
	if c.Expires > 0 {
		at := time.Now().Add(c.Expires).UTC()
		request.ExpiresAt = &at
	}
	made, err := api.CreateAdminToken(ctx, request)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "token %s of %s; its secret is shown this once:\n", made.TokenID, printable(made.Name))
	_, err = fmt.Fprintln(env.stdout, printable(made.Secret))
	return err
}

// tokenListCmd is the verb `admin token list`.
type tokenListCmd struct{ adminFlags }

// Run lists the tokens.
func (c *tokenListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"id", "admin", "created", "last used", "expires", "revoked"})
	err = client.Each(ctx, api.AdminTokens, func(t types.AdminToken) error {
		writeRow(out, []string{t.TokenID, t.Name, moment(&t.CreatedAt), moment(t.LastUsedAt), moment(t.ExpiresAt), moment(t.RevokedAt)})
		return nil
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// tokenRevokeCmd is the verb `admin token revoke`.
type tokenRevokeCmd struct {
	adminFlags
	Token string `arg:"" help:"Id of the token, or the name of an admin who has one."`
}

// Run revokes it.
func (c *tokenRevokeCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	id, err := adminTokenID(ctx, api, c.Token)
	if err != nil {
		return err
	}
	err = api.RevokeAdminToken(ctx, id)
	if client.IsNotFound(err) {
		return fmt.Errorf("no admin token %q; `millrace admin token list` shows names and ids", c.Token)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "token %s revoked\n", printable(c.Token))
	return err
}

// adminTokenID is the id of the only token that works and has the name, or what was given when none has.
func adminTokenID(ctx context.Context, api *client.Client, given string) (string, error) {
	if uuid.Validate(given) == nil {
		return given, nil
	}
	var ids []string
	err := client.Each(ctx, api.AdminTokens, func(t types.AdminToken) error {
		if t.Name == given && t.RevokedAt == nil {
			ids = append(ids, t.TokenID)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(ids) == 0:
		return given, nil
	case len(ids) > 1:
		return "", fmt.Errorf("%s has %d tokens; name one by its id: %s", given, len(ids), strings.Join(ids, ", "))
	}
	return ids[0], nil
}
