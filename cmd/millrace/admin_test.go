package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/events"
	"millrace/jobs"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

const testAdminToken = "a-token-of-the-tests-0123"

// verbs runs commands against a server of their own.
type verbs struct {
	t    *testing.T
	url  string
	file string // settings

	db    *pgtest.DB
	store *stores.Set
	parts *knowledgeParts
}

func newVerbs(t *testing.T) *verbs {
	t.Helper()
	logger, metrics := slog.New(slog.DiscardHandler), ops.NewMetrics()
	db := pgtest.New(t)
	pool := db.Pool(t)
	client, err := jobs.NewInsertClient(pool, logger)
	require.NoError(t, err)
	st := stores.New(pool, client)
	parts, err := knowledgeFlags{VectorMemory: 64, TextMemory: 64}.openKnowledge(&lifecycle{}, st, metrics, logger)
	require.NoError(t, err)
	base, err := parts.base(st)
	require.NoError(t, err)
	feed := events.NewFeed(events.Options{Store: st, Metrics: metrics, Logger: logger})
	require.NoError(t, feed.Start(t.Context()))
	t.Cleanup(func() { _ = feed.Stop(context.Background()) })
	look := health.Options{Store: st, Main: st, Feed: feed.Status}
	keys, err := webhookFlags{WebhookKey: "a-key-that-only-tests-have"}.keyring()
	require.NoError(t, err)
	server, err := api.New(api.Options{
		Store: st, Hub: feed.Hub(), Health: health.New(look), Ready: health.Ready(look), Metrics: metrics, Logger: logger,
		AdminToken: testAdminToken, Knowledge: base, Webhooks: api.WebhookOptions{Keys: keys},
	})
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	v := &verbs{t: t, url: web.URL, file: filepath.Join(t.TempDir(), "dev.env"), db: db, store: st, parts: parts}
	require.NoError(t, os.WriteFile(v.file, []byte("MILLRACE_URL="+web.URL+"\nADMIN_TOKEN="+testAdminToken+"\n"), 0o600))
	return v
}

func (v *verbs) run(args ...string) (status int, stdout, stderr string) {
	v.t.Helper()
	var out, errs bytes.Buffer
	status = run(v.t.Context(), append(args, "--env-file", v.file), &out, &errs)
	return status, out.String(), errs.String()
}

func (v *verbs) ok(args ...string) string {
	v.t.Helper()
	status, out, errs := v.run(args...)
	require.Zero(v.t, status, errs)
	return out
}

func TestAdminVerbsKeepWorkspacesAndKeys(t *testing.T) {
	v := newVerbs(t)
	require.Contains(t, v.ok("admin", "workspace", "create", "research", "--queue-depth", "7"), "research")
	require.Regexp(t, `research\s+5\s+–\s+–\s+–`, v.ok("admin", "workspace", "set", "research", "--tune-cap", "5", "--queue-depth", "0"))
	secret := strings.TrimSpace(v.ok("admin", "key", "create", "research", "ci", "--role", "viewer", "--expires", "24h"))
	require.Regexp(t, `^mr_\S+$`, secret)

	list := v.ok("admin", "key", "list", "research")
	require.NotContains(t, list, secret)
	id := strings.Fields(strings.Split(list, "\n")[1])[0]
	require.Contains(t, v.ok("admin", "key", "revoke", "research", id), "revoked")
	require.Contains(t, v.ok("admin", "workspace", "list"), "research")

	status, _, errs := v.run("admin", "key", "create", "elsewhere", "k")
	require.Equal(t, 1, status)
	require.Contains(t, errs, `"elsewhere"`)
	status, _, errs = v.run("admin", "workspace", "create", "research")
	require.Equal(t, 1, status)
	require.Contains(t, errs, "409")
	status, _, errs = v.run("admin", "workspace", "list", "--admin-token", "wrong")
	require.Equal(t, 1, status)
	require.Contains(t, errs, "401")
	require.NotContains(t, errs, "wrong\n")
}

// The settings of one server are not sent to another.
func TestTheAdminTokenOfAFileStaysWithItsServer(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir(".millrace", 0o700))
	require.NoError(t, os.WriteFile(defaultEnvFile, []byte("MILLRACE_URL=http://127.0.0.1:1\nADMIN_TOKEN=secret\n"), 0o600))
	t.Setenv("ADMIN_TOKEN", "")
	_, err := adminFlags{URL: "http://elsewhere.test"}.open()
	require.ErrorContains(t, err, "ADMIN_TOKEN")
	own, err := adminFlags{}.server()
	require.NoError(t, err)
	require.Equal(t, "secret", own.APIKey)
}

func TestAdminsHaveTokensByName(t *testing.T) {
	v := newVerbs(t)
	first := v.ok("admin", "token", "create", "ada")
	status, _, out := v.run("admin", "token", "create", "ada")
	require.NotZero(t, status)
	require.Contains(t, out, "works already")
	second := v.ok("admin", "token", "create", "ada-2", "--expires", "24h")
	list := v.ok("admin", "token", "list", "--admin-token", strings.TrimSpace(first))
	require.Equal(t, 2, strings.Count(list, "ada"))
	v.ok("admin", "token", "revoke", "ada", "--admin-token", strings.TrimSpace(second))
	status, _, _ = v.run("admin", "token", "list", "--admin-token", strings.TrimSpace(first))
	require.NotZero(t, status, "a revoked token works")
}

// Where retention took the beginning of a log, verify continues from the hash of the last entry that left.
func TestAnAuditLogWithoutItsBeginningIsVerified(t *testing.T) {
	v := newVerbs(t)
	v.ok("admin", "workspace", "create", "research")
	for _, name := range []string{"ci", "ci-2", "ci-3"} {
		v.ok("admin", "key", "create", "research", name)
	}
	whole := strings.TrimSpace(v.ok("admin", "audit", "verify", "research"))
	_, head, _ := strings.Cut(whole, "head ")
	owner := v.db.OwnerPool(t)
	var second string
	require.NoError(t, owner.QueryRow(t.Context(), `
		with gone as (delete from audit_log where seq <= 2 and workspace_id <> '00000000-0000-0000-0000-000000000000' returning *),
		moved as (update audit_heads h set base_seq = 2, base_hash = g.hash from gone g where g.seq = 2 and g.workspace_id = h.workspace_id)
		select encode(hash, 'hex') from gone where seq = 2`).Scan(&second))
	want := "2 entries after entry 2, the last that retention took away, unbroken; head " + head + "\n"
	require.Equal(t, want, v.ok("admin", "audit", "verify", "research"))
	export := filepath.Join(t.TempDir(), "audit.jsonl")
	require.NoError(t, os.WriteFile(export, []byte(v.ok("admin", "audit", "export", "research")), 0o600))
	require.Equal(t, want, v.ok("admin", "audit", "verify", "--file", export))
	require.Equal(t, want, v.ok("admin", "audit", "verify", "research", "--head", head))
	require.Equal(t, want, v.ok("admin", "audit", "verify", "research", "--head", "2:"+second))
	for known, why := range map[string]string{
		"2:" + strings.Repeat("0", 64): "entry 2 is not the one that was there",
		"1:" + second:                  "entries up to 2 were taken away by retention",
	} {
		status, _, errs := v.run("admin", "audit", "verify", "research", "--head", known)
		require.NotZero(t, status)
		require.Contains(t, errs, why)
	}
	for damage, why := range map[string]string{
		`update audit_heads set base_hash = sha256('x') where base_seq = 2`: "entry 3 was changed, or one before it",
		`delete from audit_log where seq = 3`:                               "entry 4 follows entry 2",
	} {
		_, err := owner.Exec(t.Context(), `create table kept as table audit_log; create table kept_heads as table audit_heads; `+damage)
		require.NoError(t, err)
		status, _, errs := v.run("admin", "audit", "verify", "research")
		require.NotZero(t, status, damage)
		require.Contains(t, errs, why)
		_, err = owner.Exec(t.Context(), `
			delete from audit_log; insert into audit_log table kept; drop table kept;
			delete from audit_heads; insert into audit_heads table kept_heads; drop table kept_heads`)
		require.NoError(t, err)
	}
}

// verify says where the chain was changed, cut or rewritten, even by the database's owner.
func TestAChangedAuditLogIsFound(t *testing.T) {
	v := newVerbs(t)
	v.ok("admin", "workspace", "create", "research")
	for _, name := range []string{"ci", "ci-2", "ci-3"} {
		v.ok("admin", "key", "create", "research", name)
	}
	require.Contains(t, v.ok("admin", "audit", "list", "research"), "POST /admin/workspaces/:id/keys")
	whole := v.ok("admin", "audit", "verify", "research")
	require.Regexp(t, `^4 entries, unbroken; head 4:[0-9a-f]{64}\n$`, whole)
	head := strings.TrimSpace(strings.SplitAfter(whole, "head ")[1])
	export := filepath.Join(t.TempDir(), "audit.jsonl")
	require.NoError(t, os.WriteFile(export, []byte(v.ok("admin", "audit", "export", "research")), 0o600))
	require.Equal(t, whole, v.ok("admin", "audit", "verify", "--file", export))
	require.Contains(t, v.ok("admin", "audit", "verify"), "0 entries")
	owner := v.db.OwnerPool(t)
	for _, test := range []struct{ damage, want string }{
		{`update audit_log set entry = replace(entry, '"ci"', '"me"') where seq = 2`, "entry 2 was changed"},
		{`delete from audit_log where seq = 2`, "entry 3 follows entry 1"},
		{`delete from audit_log where seq = 4`, "up to 4 were there"},
		{`delete from audit_log where seq = 4; update audit_heads h set seq = 3, hash = l.hash from audit_log l where l.seq = 3 and l.workspace_id = h.workspace_id`, "up to 4 were there"},
	} {
		_, err := owner.Exec(t.Context(), `create table kept as table audit_log; create table kept_heads as table audit_heads; `+test.damage)
		require.NoError(t, err)
		status, _, errs := v.run("admin", "audit", "verify", "research", "--head", head)
		require.NotZero(t, status, test.damage)
		require.Contains(t, errs, test.want)
		_, err = owner.Exec(t.Context(), `
			delete from audit_log; insert into audit_log table kept; drop table kept;
			delete from audit_heads; insert into audit_heads table kept_heads; drop table kept_heads`)
		require.NoError(t, err)
	}
	require.Equal(t, whole, v.ok("admin", "audit", "verify", "research", "--head", head))
	status, _, errs := v.run("admin", "audit", "verify", "research", "--head", "4:"+strings.Repeat("0", 64))
	require.NotZero(t, status)
	require.Contains(t, errs, "is not the one that was there")
}
