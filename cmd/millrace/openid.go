package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"millrace/api"
	"millrace/api/signin"
)

// openIDFlags have people sign in to the console through an OpenID provider.
type openIDFlags struct {
	OIDCIssuer    string        `name:"oidc-issuer" env:"OIDC_ISSUER" placeholder:"URL" help:"OpenID provider that people sign in to the console through, as in https://login.example.com/realms/team. Unset: keys and tokens alone."`
	OIDCClient    string        `name:"oidc-client-id" env:"OIDC_CLIENT_ID" help:"This server's name at the provider."`
	OIDCSecret    string        `name:"oidc-client-secret" env:"OIDC_CLIENT_SECRET" help:"Its secret there."`
	OIDCAuthority string        `name:"oidc-ca" env:"OIDC_CA" placeholder:"FILE" help:"Certificates of the authorities that signed the provider's certificate, PEM. Unset: those that this machine trusts."`
	OIDCRedirect  string        `name:"oidc-redirect-url" env:"OIDC_REDIRECT_URL" placeholder:"URL" help:"Where the provider sends people back: the address of this server as browsers have it, and /admin/login/oidc/callback."`
	OIDCScopes    []string      `name:"oidc-scopes" env:"OIDC_SCOPES" default:"openid,profile,email" help:"What the provider is asked for."`
	OIDCClaim     string        `name:"oidc-claim" env:"OIDC_CLAIM" default:"groups" help:"Claim of the id token that says what a person may do: a text, or a list of texts."`
	OIDCGrants    []string      `name:"oidc-grants" env:"OIDC_GRANTS" sep:";" placeholder:"VALUE=admin;VALUE=WORKSPACE:ROLE;…" help:"What values of the claim open: everything, or one workspace with a role; admin goes first, then the first that fits."`
	OIDCSession   time.Duration `name:"oidc-session" env:"OIDC_SESSION" default:"1h" help:"How long a sign-in lasts before the provider is asked again, 24h at most."`
}

// options are those of the provider; nil without one.
func (f openIDFlags) options() (*signin.Options, error) {
	if f.OIDCIssuer == "" {
		var alone []string
		for name, set := range map[string]bool{
			"OIDC_CA": f.OIDCAuthority != "", "OIDC_CLIENT_ID": f.OIDCClient != "", "OIDC_CLIENT_SECRET": f.OIDCSecret != "", "OIDC_REDIRECT_URL": f.OIDCRedirect != "", "OIDC_GRANTS": len(f.OIDCGrants) > 0,
		} {
			if set {
				alone = append(alone, name)
			}
		}
		if len(alone) > 0 {
			slices.Sort(alone)
			return nil, fmt.Errorf("--oidc-issuer (OIDC_ISSUER) is not set, and %s is: set it too, or neither", strings.Join(alone, ", "))
		}
		return nil, nil
	}
	opts := &signin.Options{
		Issuer: f.OIDCIssuer, ClientID: f.OIDCClient, ClientSecret: f.OIDCSecret, RedirectURL: f.OIDCRedirect, Scopes: f.OIDCScopes, Claim: f.OIDCClaim,
	}
	var faults []error
	if f.OIDCAuthority != "" {
		body, err := os.ReadFile(f.OIDCAuthority)
		opts.Authorities = x509.NewCertPool()
		if err == nil && !opts.Authorities.AppendCertsFromPEM(body) {
			err = errors.New("it has no certificate, PEM")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("--oidc-ca (OIDC_CA): %w", err))
		}
	}
	for _, text := range f.OIDCGrants {
		grant, err := signin.ParseGrant(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("--oidc-grants (OIDC_GRANTS): %w", err))
			continue
		}
		opts.Grants = append(opts.Grants, grant)
	}
	if len(faults) == 0 {
		faults = append(faults, opts.Validate())
	}
	if f.OIDCSession < time.Minute || f.OIDCSession > 24*time.Hour {
		faults = append(faults, fmt.Errorf("--oidc-session (OIDC_SESSION) is %v: it may be from 1m to 24h", f.OIDCSession))
	}
	return opts, errors.Join(faults...)
}

func (f openIDFlags) check(adminToken string) error {
	opts, err := f.options()
	if opts != nil && adminToken == "" {
		err = errors.Join(err, errors.New("--admin-token (ADMIN_TOKEN) is not set: the console opens only with it"))
	}
	return err
}

func (f openIDFlags) openID() (api.OpenIDOptions, error) {
	opts, err := f.options()
	if opts == nil || err != nil {
		return api.OpenIDOptions{}, err
	}
	return api.OpenIDOptions{Provider: signin.New(*opts), Seal: opts.Seal(), Issuer: opts.Issuer, Session: f.OIDCSession}, nil
}
