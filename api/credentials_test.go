package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/store/tenants"
)

// A client that lost the answer to the making of a token or key sends its request again: there is one, the answer has
// its secret, and the database has it nowhere. Another caller that knows the idempotency key gets nothing of it.
func TestASecretWhoseAnswerWasLostIsShownAgainToItsCallerOnly(t *testing.T) {
	r := newFixture(t)
	other := r.newAdmin("eve").Secret
	peer := r.newKey(r.alpha, tenants.RoleOwner)
	for _, test := range []struct{ path, body, as, stranger, table string }{
		{"/admin/tokens", `{"name":"ada"}`, adminToken, other, "admin_tokens"},
		{"/workspace/keys", `{"name":"ada","role":"viewer"}`, r.key, peer, "api_keys"},
		{"/admin/workspaces/" + r.beta.ID.String() + "/keys", `{"name":"ada","role":"viewer"}`, adminToken, other, "api_keys"},
	} {
		send := func(as string) answer {
			return r.do(http.MethodPost, test.path, test.body, "Authorization", "Bearer "+as, "X-Idempotency-Key", "lost")
		}
		before := r.count(`select count(*) from ` + test.table)
		first, again := send(test.as), send(test.as)
		require.Equal(t, http.StatusCreated, first.status, string(first.body))
		require.Equal(t, string(first.body), string(again.body), test.path)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"), test.path)
		require.Equal(t, before+1, r.count(`select count(*) from `+test.table), "%s makes it again", test.path)
		secret := into[struct{ Secret string }](t, first).Secret
		require.NotEmpty(t, secret)
		require.Zero(t, r.count(`select count(*) from idempotency_keys where position('`+secret+`'::bytea in body) > 0`), "%s: the secret is stored", test.path)
		foreign := send(test.stranger)
		require.Equal(t, http.StatusUnprocessableEntity, foreign.status, "%s: %s", test.path, foreign.body)
		require.NotContains(t, string(foreign.body), secret)
	}
}

// Names say who did what, so no two tokens or keys that work have one, even when they are asked for at once; the name
// of one that has ended is free.
func TestNoTwoTokensOrKeysThatWorkHaveOneName(t *testing.T) {
	r := newFixture(t)
	for _, test := range []struct{ path, body, as, id string }{
		{"/admin/tokens", `{"name":"ada"}`, adminToken, "token_id"},
		{"/workspace/keys", `{"name":"ada","role":"viewer"}`, r.key, "key_id"},
	} {
		by := []string{"Authorization", "Bearer " + test.as}
		answers := make(chan answer, 6)
		var group errgroup.Group
		for range cap(answers) {
			group.Go(func() error {
				a, err := r.try(http.MethodPost, test.path, strings.NewReader(test.body), by...)
				answers <- a
				return err
			})
		}
		require.NoError(t, group.Wait())
		close(answers)
		var made []answer
		for a := range answers {
			if a.status == http.StatusCreated {
				made = append(made, a)
				continue
			}
			require.Equal(t, http.StatusConflict, a.status, string(a.body))
			require.Contains(t, string(a.body), `\"ada\" works already`)
		}
		require.Len(t, made, 1, test.path)
		id, _ := into[map[string]any](t, made[0])[test.id].(string)
		require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, test.path+"/"+id, "", by...).status)
		require.Equal(t, http.StatusCreated, r.do(http.MethodPost, test.path, test.body, by...).status, "%s: the name of a revoked one is free", test.path)
	}
	require.Equal(t, http.StatusCreated, r.do(http.MethodPost, "/workspace/keys", `{"name":"ada","role":"viewer"}`, "Authorization", "Bearer "+r.other).status, "another workspace's name")
}
