package signin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/signin"
)

// documented is a provider whose document is what answer says of its address.
func documented(t *testing.T, answer func(url string) map[string]string) *signin.Provider {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(answer(server.URL))
	})
	server.Start()
	t.Cleanup(server.Close)
	return signin.New(signin.Options{Issuer: server.URL, ClientID: "console", RedirectURL: server.URL + signin.CallbackPath, Scopes: []string{"openid"}})
}

func endpoints(url string) map[string]string {
	return map[string]string{"issuer": url, "authorization_endpoint": url + "/authorize", "token_endpoint": url + "/token", "jwks_uri": url + "/keys"}
}

// While the provider does not answer, a sign-in ends when its own request does, not when the one before it has; and the
// answer that the first one asked for serves those that come later.
func TestASlowProviderIsAskedOnceForAllWhoWait(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(leave) })
	defer release()
	var asked atomic.Int32
	p := documented(t, func(url string) map[string]string {
		if asked.Add(1) == 1 {
			close(entered)
			<-leave
		}
		return endpoints(url)
	})
	attempt := signin.Attempt{State: "s", Nonce: "n", Verifier: "v"}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := p.Begin(ctx, attempt)
		first <- err
	}()
	<-entered
	gone, leaves := context.WithCancel(t.Context())
	leaves()
	_, err := p.Begin(gone, attempt)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, first, "the second waited for the first")
	cancel()
	require.ErrorIs(t, <-first, context.Canceled)
	release()
	_, err = p.Begin(t.Context(), attempt)
	require.NoError(t, err)
	require.EqualValues(t, 1, asked.Load())
}

// Codes, the client's secret and the keys of signatures go to no address that others can read or change.
func TestADocumentWithAnEndpointOfPlainHTTPIsNotUsed(t *testing.T) {
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri"} {
		p := documented(t, func(url string) map[string]string {
			says := endpoints(url)
			says[name] = "http://login.example.com/x"
			return says
		})
		_, err := p.Begin(t.Context(), signin.Attempt{State: "s", Nonce: "n", Verifier: "v"})
		var away *signin.AwayError
		require.ErrorAs(t, err, &away, name)
		require.ErrorContains(t, err, "not https", name)
	}
}
