package ops

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MetricsHandler exports a registry. A collector that fails leaves its own figures out, no others. A scraper
// that asks for OpenMetrics gets the exemplars too.
func MetricsHandler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true})
}

// Profiles serves the profiles of net/http/pprof under a prefix that ends without a slash.
func Profiles(prefix string) http.Handler {
	mux := http.NewServeMux()
	for path, handler := range map[string]http.HandlerFunc{
		"/cmdline": pprof.Cmdline, "/profile": pprof.Profile, "/symbol": pprof.Symbol, "/trace": pprof.Trace,
	} {
		mux.HandleFunc(prefix+path, handler)
	}
	mux.HandleFunc(prefix+"/", func(w http.ResponseWriter, r *http.Request) {
		if name := strings.TrimPrefix(r.URL.Path, prefix+"/"); name != "" {
			pprof.Handler(name).ServeHTTP(w, r)
			return
		}
		pprof.Index(w, r)
	})
	return mux
}

// Internal is what a process serves on its own port, for the network inside: its metrics and that it
// lives and, with the admin token, its profiles. Without a token there are no profiles.
func Internal(registry *prometheus.Registry, adminToken string) http.Handler {
	return InternalWith(registry, func() string { return adminToken }, func() string { return "" })
}

// InternalWith is Internal with a token that may be replaced, of a process that may wait for something before it starts.
func InternalWith(registry *prometheus.Registry, adminToken, awaits func() string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", MetricsHandler(registry))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := []byte(`{"status":"ok"}`)
		if what := awaits(); what != "" {
			body = fmt.Appendf(nil, `{"status":"ok","waits_for":%q}`, what)
		}
		_, _ = w.Write(body) // fails only when the client has gone
	})
	if adminToken() != "" {
		mux.Handle("/debug/pprof/", withToken(adminToken, Profiles("/debug/pprof")))
	}
	return mux
}

// withToken lets requests through that send one of the tokens, which are separated by blanks.
func withToken(tokens func() string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("X-Admin-Token")
		if given == "" {
			_, given, _ = strings.Cut(r.Header.Get("Authorization"), " ")
		}
		got := sha256.Sum256([]byte(given))
		found := 0
		for _, token := range strings.Fields(tokens()) {
			want := sha256.Sum256([]byte(token))
			found |= subtle.ConstantTimeCompare(want[:], got[:])
		}
		if found != 1 {
			http.Error(w, "send the admin token: X-Admin-Token or Authorization: Bearer", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
