package api_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/ops/openidtest"
)

// What a person has been given at the provider since counts at the next sign-in, everywhere: what the person had before
// opens nothing more, in no other browser.
func TestASignInEndsWhatThePersonHadBefore(t *testing.T) {
	p := openidtest.New(t)
	r := newFixture(t, withOpenID(t, p)).withSample()
	as := func(groups string) *browser {
		t.Helper()
		p.Set(func() { p.Claims["groups"] = groups })
		b := r.newBrowser()
		status, _, page := b.get(b.begin(p, "/admin"))
		require.Equal(t, http.StatusSeeOther, status, page)
		status, _, _ = b.get("/admin/tunes")
		require.Equal(t, http.StatusOK, status)
		return b
	}
	ended := func(b *browser, name string) {
		t.Helper()
		status, _, _ := b.get("/admin/tunes")
		require.Equal(t, http.StatusSeeOther, status, name)
	}
	admin := as("ops")
	again := as("ops")
	status, _, _ := admin.get("/admin/retention")
	require.Equal(t, http.StatusOK, status, "the same as before ends nothing")
	member := as("quants")
	ended(admin, "an admin who is a member now")
	ended(again, "an admin who is a member now")
	owner := as("cn=owners,dc=x")
	ended(member, "a member of another workspace")
	p.Set(func() { p.Claims["groups"] = "staff" })
	b := r.newBrowser()
	status, _, _ = b.get(b.begin(p, "/admin"))
	require.Equal(t, http.StatusForbidden, status)
	ended(owner, "a person to whom nothing is open any more")
	as("ops")
}

// Whatever text a browser or a provider sends, the answer is a page and not an internal error.
func TestHostileTextsOfASignInAreRefused(t *testing.T) {
	p := openidtest.New(t)
	r := newFixture(t, withOpenID(t, p))
	for _, next := range []string{"//elsewhere.example", "/%5celsewhere.example", "%2f%2felsewhere.example", "/%0d%0aSet-Cookie:x", "/%e2%80%a8"} {
		b := r.newBrowser()
		status, to, page := b.get("/admin/login/oidc?next=" + next)
		require.Equal(t, http.StatusSeeOther, status, "%s: %s", next, page)
		code, state := p.Approve(to)
		status, to, page = b.get("/admin/login/oidc/callback?code=" + code + "&state=" + state)
		require.Equal(t, http.StatusSeeOther, status, "%s: %s", next, page)
		require.Regexp(t, `^/[^/\\]`, to, next)
	}
	for _, next := range []string{"/%ff", "/%00"} {
		status, _, _ := r.newBrowser().get("/admin/login/oidc?next=" + next)
		require.Equal(t, http.StatusBadRequest, status, next)
	}
	for name, claims := range map[string]map[string]any{
		"a subject with NUL":           {"sub": "a\x00b"},
		"a subject of another form":    {"sub": 7},
		"a name with NUL":              {"email": "a\x00@example.com", "name": "\x00"},
		"a very long name":             {"email": string(make([]byte, 100_000))},
		"groups with others in":        {"groups": []any{nil, 7, "quants", map[string]any{}}},
		"a list in place of the email": {"email": []string{"a"}},
		"the token of another client":  {"aud": []string{openidtest.Client, "another"}, "azp": "another"},
	} {
		p.Set(func() {
			p.Claims = map[string]any{"sub": "1", "groups": "quants", "email_verified": true}
			maps.Copy(p.Claims, claims)
		})
		b := r.newBrowser()
		status, _, page := b.get(b.begin(p, "/admin"))
		want := http.StatusSeeOther
		if _, changed := claims["sub"]; changed || claims["azp"] != nil {
			want = http.StatusForbidden
		}
		require.Equal(t, want, status, "%s: %s", name, page)
	}
}
