package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A key or an admin's token says in its last two weeks when it ends, also with an answer that is refused.
func TestAKeyThatEndsSoonSaysSo(t *testing.T) {
	r := newFixture(t)
	admin := r.newAdmin("ada")
	key := into[keyView](t, r.admin(http.MethodPost, "/admin/workspaces/"+r.alpha.ID.String()+"/keys", `{"name":"ends","role":"viewer"}`))
	said := func(path, secret string) string {
		return r.do(http.MethodGet, path, "", "Authorization", "Bearer "+secret).header.Get("Key-Expires")
	}
	for _, of := range []struct{ table, id, path, secret string }{
		{"api_keys", key.KeyID, "/datasets", key.Secret},
		{"api_keys", key.KeyID, "/datasets/nothing", key.Secret},
		{"admin_tokens", admin.TokenID, "/admin/workspaces", admin.Secret},
	} {
		for in, want := range map[string]bool{"13 days 23 hours": true, "14 days 1 hour": false} {
			r.exec(`update `+of.table+` set expires_at = now() + interval '`+in+`' where id = $1`, of.id)
			at := said(of.path, of.secret)
			require.Equal(t, want, at != "", "%s of %s that ends in %s: %q", of.path, of.table, in, at)
			if want {
				end, err := time.Parse(time.RFC3339, at)
				require.NoError(t, err)
				require.WithinDuration(t, time.Now().Add(14*24*time.Hour-time.Hour), end, 5*time.Minute)
			}
		}
	}
	r.exec(`update api_keys set expires_at = null where id = $1`, key.KeyID)
	require.Empty(t, said("/datasets", key.Secret), "a key without an end has none to say")
}
