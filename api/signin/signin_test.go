package signin_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/signin"
)

func TestGrantsAreReadOrNamed(t *testing.T) {
	for text, want := range map[string]signin.Grant{
		"ops=admin":                         {Value: "ops", Admin: true},
		"quants=research:member":            {Value: "quants", Workspace: "research", Role: "member"},
		"cn=quants,ou=x = team:a : b:owner": {Value: "cn=quants,ou=x", Workspace: "team:a : b", Role: "owner"},
		"ada@example.com=research:viewer":   {Value: "ada@example.com", Workspace: "research", Role: "viewer"},
	} {
		got, err := signin.ParseGrant(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "ops", "=admin", "ops=", "ops=research", "ops=:member", "ops=research:king", "ops=Admin"} {
		_, err := signin.ParseGrant(text)
		require.Error(t, err, text)
		if text != "" {
			require.ErrorContains(t, err, text)
		}
	}
}

func TestEveryWrongSettingOfTheProviderIsNamed(t *testing.T) {
	good := signin.Options{
		Issuer: "https://login.example.com/realms/team", ClientID: "millrace", RedirectURL: "https://millrace.example.com" + signin.CallbackPath,
		Scopes: []string{"openid"}, Claim: "groups", Grants: []signin.Grant{{Value: "ops", Admin: true}},
	}
	require.NoError(t, good.Validate())
	seal := good.Seal()
	for name, change := range map[string]func(*signin.Options){
		"OIDC_ISSUER":       func(o *signin.Options) { o.Issuer = "http://login.example.com" },
		"OIDC_CLIENT_ID":    func(o *signin.Options) { o.ClientID = "" },
		"OIDC_REDIRECT_URL": func(o *signin.Options) { o.RedirectURL = "https://millrace.example.com/admin" },
		"OIDC_SCOPES":       func(o *signin.Options) { o.Scopes = []string{"email"} },
		"OIDC_CLAIM":        func(o *signin.Options) { o.Claim = "" },
		"OIDC_GRANTS":       func(o *signin.Options) { o.Grants = nil },
	} {
		bad := good
		change(&bad)
		require.ErrorContains(t, bad.Validate(), name)
		require.NotEqual(t, seal, bad.Seal(), name)
	}
	for _, address := range []string{"https://user@login.example.com", "https://", "ftp://login.example.com", "https://login.example.com#x", "http://10.0.0.1"} {
		bad := good
		bad.Issuer = address
		require.ErrorContains(t, bad.Validate(), "OIDC_ISSUER", address)
	}
	for _, address := range []string{"http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:2"} {
		local := good
		local.Issuer, local.RedirectURL = address, address+signin.CallbackPath
		require.NoError(t, local.Validate(), address)
	}
}
