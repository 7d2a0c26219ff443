package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"millrace/api"
	"millrace/events"
	"millrace/jobs"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/ops/routine"
)

// apiFlags are the settings of an API server, in `millrace api` and in `millrace dev`.
type apiFlags struct {
	Addr        string   `default:"127.0.0.1:8080" env:"MILLRACE_ADDR" help:"Address to listen on; port 0 takes a free one."`
	AdminToken  string   `env:"ADMIN_TOKEN" help:"Token for /admin; unset, /admin is off. 16 characters at least, in production 32. Several that all work, as while one is replaced, are separated by blanks or lines."`
	Docs        *bool    `negatable:"" env:"DOCS_ENABLED" help:"Serve the API's document at /docs. Default: yes, but not in production."`
	CORSOrigins []string `name:"cors-origins" env:"CORS_ORIGINS" placeholder:"ORIGIN,…" help:"Sites whose pages may call the API with a workspace's key, as in https://app.example.com; none, or * outside production. Default: none."`
	limitFlags
	tls    tlsFlags // of its verb: dev serves this machine only
	openID openIDFlags
}

// apiCmd is the verb `api`.
type apiCmd struct {
	databaseFlags
	internalFlags
	knowledgeFlags
	webhookFlags
	apiFlags
	tlsFlags
	openIDFlags
	telemetryFlags
	reloadFlags
}

// Run serves HTTP until a signal.
func (c *apiCmd) Run(ctx context.Context, env *environment, parsed *kong.Kong) error {
	if err := checked(c.databaseFlags.check(), c.check(env.profile)); err != nil {
		return err
	}
	c.tls, c.apiFlags.openID = c.tlsFlags, c.openIDFlags
	env.reload = newReloader(env, parsed, "api", c.Reload, c.AdminToken)
	return serve(ctx, env, 15*time.Second, func(life *lifecycle) error {
		metrics := ops.NewMetrics()
		if err := serveInternal(ctx, life, env, c.internalFlags, metrics, c.AdminToken); err != nil {
			return err
		}
		var err error
		if env.exports, err = c.telemetryFlags.start(ctx, life, env, "millrace-api", metrics, append(strings.Fields(c.AdminToken), c.DatabaseURL)...); err != nil {
			return err
		}
		if _, err = startAPI(ctx, life, env, c.databaseFlags, c.knowledgeFlags, c.webhookFlags, c.apiFlags, metrics); err == nil {
			onHangup(ctx, env.reload.run)
		}
		return err
	})
}

// startAPI opens the database, joins the event feed and serves HTTP. It returns the address.
func startAPI(ctx context.Context, life *lifecycle, env *environment, db databaseFlags, kb knowledgeFlags, hooks webhookFlags, flags apiFlags, metrics *ops.Metrics) (string, error) {
	var cert *certificate
	var err error
	if flags.tls.TLSCert != "" {
		if cert, err = openCertificate(ctx, life, env, flags.tls); err != nil {
			return "", err
		}
	}
	pools, err := waitingAt(ctx, env, flags.Addr, cert, func(awaits func() error) (pools, error) {
		return openPools(ctx, life, db, conns{fleet: 8, spaces: 12}, "", metrics, env, awaits)
	})
	if err != nil {
		return "", err
	}
	client, err := jobs.NewInsertClient(pools.fleet, env.logger, ops.Origins{})
	if err != nil {
		return "", err
	}
	st := pools.stores(client)
	st.SetRecorder(metrics)
	st.SetVersion(env.version())
	reporter, err := env.report.reporter(life, env.exports.Tracer(), append(strings.Fields(flags.AdminToken+" "+flags.openID.OIDCSecret), db.DatabaseURL)...)
	if err != nil {
		return "", err
	}
	feed := events.NewFeed(events.Options{Store: st, Metrics: metrics, Logger: env.logger, Reporter: reporter})
	if err := feed.Start(ctx); err != nil {
		return "", fmt.Errorf("start the event feed: %w", err)
	}
	life.onStop(feed.Stop)
	parts, err := kb.openKnowledge(life, st, metrics, env.logger)
	if err != nil {
		return "", err
	}
	base, err := parts.base(st)
	if err != nil {
		return "", err
	}
	proxies, proxiesErr := flags.proxies()
	origins, originsErr := flags.origins(env.profile)
	if err := checked(proxiesErr, originsErr); err != nil {
		return "", err
	}
	keys, keysErr := hooks.keyring()
	guard, guardErr := hooks.guard()
	if err := checked(keysErr, guardErr); err != nil {
		return "", err
	}
	people, err := flags.openID.openID()
	if err != nil {
		return "", configError{err}
	}
	look, err := healthOptions(ctx, life, db)
	if err != nil {
		return "", err
	}
	look.Main, look.Feed = st, feed.Status
	if cert != nil {
		look.CertificateEnds = cert.ends
		metrics.Registry.MustRegister(health.CertificateMetrics(cert.ends))
	}
	kb.look(parts, &look)
	ready := health.Ready(look)
	metrics.Registry.MustRegister(health.PoolMetrics(st), health.NewFleetMetrics(look, ready, env.logger))
	river, err := startRiverUI(life, env, client)
	if err != nil {
		return "", err
	}
	server, err := api.New(api.Options{
		Store: st, Hub: feed.Hub(), Health: health.New(look), Ready: ready,
		Metrics: metrics, Logger: env.logger, Reporter: reporter, AdminToken: flags.AdminToken, Version: env.version(), Program: numbers(),
		Limits: flags.limits(), TrustedProxies: proxies,
		CORSOrigins: origins, TLSOnly: env.profile == production,
		Docs: flags.docs(env.profile), Knowledge: base, River: river,
		Webhooks: api.WebhookOptions{Keys: keys, Guard: guard, Lookup: true}, OpenID: people,
	})
	if err != nil {
		return "", configError{err}
	}
	if env.reload != nil {
		env.reload.follow("ADMIN_TOKEN", env.reload.adminToken(), server.SetAdminToken)
		if people.Provider != nil {
			env.reload.follow("OIDC_CLIENT_SECRET", flags.openID.OIDCSecret, people.Provider.SetClientSecret)
		}
	}
	listener, err := listenAt(flags.Addr)
	if err != nil {
		return "", err
	}
	serveHTTP(life, env, listener, server, cert)
	env.logger.InfoContext(ctx, "api ready", slog.String("addr", listener.Addr().String()))
	return listener.Addr().String(), nil
}

func listenAt(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, configError{fmt.Errorf("--addr (MILLRACE_ADDR): %w", err)}
	}
	return listener, nil
}

// waitingAt opens the pools, with a placeholder at the address while their database is away.
func waitingAt(ctx context.Context, env *environment, addr string, cert *certificate, open func(awaits func() error) (pools, error)) (pools, error) {
	var there *placeholder
	defer func() {
		if there != nil {
			there.close()
		}
	}()
	return open(func() error {
		listener, err := listenAt(addr)
		if err != nil {
			return err
		}
		there = newPlaceholder(listener, cert)
		env.logger.InfoContext(ctx, "not ready", slog.String("at", listener.Addr().String()))
		return nil
	})
}

// serveHTTP serves until the clean-up: open streams are ended first, as a graceful shutdown
// waits for every connection. A certificate has it serve TLS.
func serveHTTP(life *lifecycle, env *environment, listener net.Listener, server *api.Server, cert *certificate) {
	httpServer := &http.Server{
		Handler:           server.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(env.logger.Handler(), slog.LevelWarn),
	}
	done := make(chan error, 1)
	serving := func() error { return httpServer.Serve(listener) }
	if cert != nil {
		httpServer.TLSConfig = cert.config()
		serving = func() error { return httpServer.ServeTLS(listener, "", "") }
	}
	routine.Go(serving, func(err error) { done <- err })
	life.onStop(func(ctx context.Context) error {
		server.EndStreams()
		err := httpServer.Shutdown(ctx)
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
}
