package api_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store/tenants"
)

// deleted waits until the last row of a deleted workspace is gone.
func (r *fixture) deleted(at string) types.WorkspaceDeletion {
	r.t.Helper()
	var d types.WorkspaceDeletion
	require.Eventually(r.t, func() bool {
		d = into[types.WorkspaceDeletion](r.t, r.admin(http.MethodGet, at, ""))
		return d.Status.Ended()
	}, time.Minute, 20*time.Millisecond)
	return d
}

// A workspace is deleted while its people follow it, its tune runs, and another request for its deletion arrives.
func TestADeletedWorkspaceEndsForAllWhoUseIt(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.Recheck = 50 * time.Millisecond }).withSample()
	second := r.another(func(o *api.Options) { o.Recheck = 50 * time.Millisecond })
	own := r.newKey(r.alpha, tenants.RoleOwner)
	session := r.signIn(own)
	ticket := r.ticket(r.alpha.ID, r.logIn())
	at := "/admin/workspaces/" + r.alpha.ID.String()
	var streams []<-chan frame
	for path, headers := range map[string][]string{
		"/events/stream": nil,
		"/admin/events/stream?workspace_id=" + r.alpha.ID.String(): {"Authorization", "Bearer " + adminToken},
		"/admin/events/stream?topics=backtests":                    {"Authorization", "", "Cookie", ticket.Name + "=" + ticket.Value},
		"/events/stream?topics=jobs":                               {"Authorization", "", "Cookie", session.Name + "=" + session.Value},
	} {
		frames, resp := r.openStream(t.Context(), path, headers...)
		require.Equal(t, http.StatusOK, resp.StatusCode, path)
		streams = append(streams, frames)
	}
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", smallTune, "X-Idempotency-Key", "k").status)

	// An owner's key opens nothing of an admin's.
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodDelete, at+"?confirm=alpha", "", "Authorization", "Bearer "+own).status)
	require.Equal(t, http.StatusForbidden, r.with(session, http.MethodDelete, at+"?confirm=alpha", "", "Sec-Fetch-Site", "same-origin").status)
	for _, confirm := range []string{"", "?confirm=beta", "?confirm=Alpha"} {
		a := r.admin(http.MethodDelete, at+confirm, "")
		require.Equal(t, http.StatusConflict, a.status, confirm)
		require.Contains(t, string(a.body), `"field":"confirm"`)
	}
	require.Equal(t, http.StatusNotFound, r.admin(http.MethodDelete, "/admin/workspaces/0197f9a0-0000-7000-8000-000000000000?confirm=alpha", "").status)
	plan := into[types.WorkspaceDeletion](t, r.admin(http.MethodDelete, at+"?dry_run=true", ""))
	require.True(t, plan.DryRun)
	require.Positive(t, plan.ActiveJobs)
	found := map[string]types.WorkspaceContent{}
	for _, kind := range plan.Contents {
		found[kind.Kind] = kind
	}
	require.EqualValues(t, 1, found["tunes"].Count)
	require.Greater(t, found["datasets"].Bytes, int64(10_000), "the bars are in it")
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/datasets", "").status, "a dry run deletes nothing")

	var calls sync.WaitGroup
	answers := make([]answer, 4)
	for i := range answers {
		calls.Go(func() {
			answers[i], _ = r.try(http.MethodDelete, at+"?confirm=alpha", http.NoBody, "Authorization", "Bearer "+adminToken)
		})
	}
	calls.Wait()
	for _, a := range answers {
		require.Equal(t, http.StatusAccepted, a.status, string(a.body))
		require.Equal(t, "/admin/workspace-deletions/"+r.alpha.ID.String(), a.header.Get("Location"))
	}
	require.Equal(t, 1, r.count(`select count(*) from river_job where kind = 'workspace.delete'`), "four requests at once delete it once")
	for _, frames := range streams {
		ended(t, frames)
	}
	for name, status := range map[string]int{
		"its key":     r.do(http.MethodGet, "/datasets", "").status,
		"its session": r.with(session, http.MethodGet, "/admin/tunes", "").status,
	} {
		require.Equal(t, http.StatusUnauthorized, status, name)
	}
	other, err := http.NewRequest(http.MethodGet, second+"/datasets", http.NoBody)
	require.NoError(t, err)
	other.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(other)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode, "its key at another process")
	for name, a := range map[string]answer{
		"the workspace": r.admin(http.MethodGet, at, ""), "a change": r.admin(http.MethodPatch, at, `{"tune_cap":3}`),
		"a new key": r.admin(http.MethodPost, at+"/keys", `{"name":"k","role":"viewer"}`), "its keys": r.admin(http.MethodGet, at+"/keys", ""),
	} {
		require.Equal(t, http.StatusNotFound, a.status, name)
	}
	require.NotContains(t, string(r.admin(http.MethodGet, "/admin/workspaces", "").body), r.alpha.ID.String())

	r.startWorker()
	done := r.deleted("/admin/workspace-deletions/" + r.alpha.ID.String())
	require.Equal(t, types.DeletionStatus("completed"), done.Status, done.Error)
	require.Equal(t, "ADMIN_TOKEN", done.DeletedBy)
	require.Positive(t, done.RowsDeleted)
	require.Zero(t, r.count(`select count(*) from tunes`))
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+r.other).status, "another workspace's key")
	var entries []auditView
	for _, entry := range r.audits() {
		if entry.Route == "DELETE /admin/workspaces/:id" {
			entries = append(entries, entry)
		}
	}
	require.Len(t, entries, 1, "it is in the audit log once")

	// What was done in it is still read and verified, by an admin.
	chain := "/admin/audit?workspace_id=" + r.alpha.ID.String()
	list := r.admin(http.MethodGet, chain, "")
	require.Equal(t, http.StatusOK, list.status, string(list.body))
	require.Contains(t, string(list.body), `"route":"POST /backtests/tune"`)
	export := r.admin(http.MethodGet, chain+"&format=jsonl", "")
	require.Equal(t, http.StatusOK, export.status)
	require.Equal(t, strings.Count(string(list.body), `"seq":`), bytes.Count(export.body, []byte("\n")), string(export.body))
	require.Equal(t, http.StatusNotFound, r.admin(http.MethodGet, "/admin/audit?workspace_id=0197f9a0-0000-7000-8000-000000000000", "").status)
	require.Equal(t, r.alpha.ID.String(), entries[0].Entity.ID)
	require.Equal(t, "ADMIN_TOKEN", entries[0].Actor.Name)
	require.Equal(t, "alpha", entries[0].Before["name"])
}

// An owner needs no admin of the server, and confirms by name as one does; no lesser key may.
func TestAnOwnersKeyDeletesItsOwnWorkspaceByName(t *testing.T) {
	r := newFixture(t).withSample()
	owner := r.newKey(r.alpha, tenants.RoleOwner)
	as := []string{"Authorization", "Bearer " + owner}
	for _, role := range []tenants.Role{tenants.RoleViewer, tenants.RoleMember, tenants.RoleAdmin} {
		lesser := r.newKey(r.alpha, role)
		require.Equal(t, http.StatusForbidden, r.do(http.MethodDelete, "/workspace?confirm=alpha", "", "Authorization", "Bearer "+lesser).status, role)
		page := r.with(r.signIn(lesser), http.MethodGet, "/admin/access", "", "Accept", "text/html")
		require.NotContains(t, string(page.body), "and delete it", role)
	}
	page := r.with(r.signIn(owner), http.MethodGet, "/admin/access?delete=1", "", "Accept", "text/html")
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, string(page.body), "Type its name to confirm")
	require.NotContains(t, string(page.body), "Deleted workspaces", "of others an owner learns nothing")
	plan := into[types.WorkspaceDeletion](t, r.do(http.MethodDelete, "/workspace?dry_run=true", "", as...))
	require.True(t, plan.DryRun)
	require.Equal(t, http.StatusConflict, r.do(http.MethodDelete, "/workspace", "", as...).status)
	require.Equal(t, http.StatusConflict, r.do(http.MethodDelete, "/workspace?confirm=beta", "", as...).status, "another workspace's name")
	done := r.do(http.MethodDelete, "/workspace?confirm=alpha", "", as...)
	require.Equal(t, http.StatusAccepted, done.status, string(done.body))
	require.Empty(t, done.header.Get("Location"), "the key follows nothing any more")
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/datasets", "", as...).status)
	require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/datasets", "", "Authorization", "Bearer "+r.other).status)
	deletion := into[types.WorkspaceDeletion](t, r.admin(http.MethodGet, "/admin/workspace-deletions/"+r.alpha.ID.String(), ""))
	require.True(t, strings.HasPrefix(deletion.DeletedBy, "key "), deletion.DeletedBy)
	all := r.audits()
	last := all[len(all)-1]
	require.Equal(t, []string{"DELETE /workspace", "key", r.alpha.ID.String()}, []string{last.Route, last.Actor.Kind, last.Entity.ID})
	require.Equal(t, "alpha", last.Before["name"])
}

// What a person uploads while the workspace is deleted is refused, and nothing of it is kept.
func TestAnUploadIntoADeletedWorkspaceStoresNothing(t *testing.T) {
	r := newFixture(t)
	reader, writer := io.Pipe()
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	for field, value := range map[string]string{"name": "late", "symbol": "X", "timeframe": "1d"} {
		require.NoError(t, form.WriteField(field, value))
	}
	part, err := form.CreateFormFile("file", "bars.csv")
	require.NoError(t, err)
	bars := ohlcv.Sample()
	_, err = part.Write(bars[:len(bars)/2])
	require.NoError(t, err)
	answered := make(chan answer, 1)
	go func() {
		a, err := r.try(http.MethodPost, "/datasets", reader, "Authorization", "Bearer "+r.key, "Content-Type", form.FormDataContentType())
		if err != nil {
			a.body = []byte(err.Error())
		}
		answered <- a
	}()
	_, err = io.Copy(writer, &head) // it is on its way, and the server waits for more
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, r.admin(http.MethodDelete, "/admin/workspaces/"+r.alpha.ID.String()+"?confirm=alpha", "").status)
	_, err = part.Write(bars[len(bars)/2:])
	require.NoError(t, err)
	require.NoError(t, form.Close())
	_, err = io.Copy(writer, &head)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	a := <-answered
	// A busy machine reads the request, and asks whose key it has, only after the deletion.
	require.Contains(t, []int{http.StatusNotFound, http.StatusUnauthorized}, a.status, string(a.body))
	require.Zero(t, r.count(`select count(*) from datasets`))
	r.startWorker()
	require.Equal(t, types.DeletionStatus("completed"), r.deleted("/admin/workspace-deletions/"+r.alpha.ID.String()).Status)
}

func TestTheConsoleDeletesAWorkspaceByItsName(t *testing.T) {
	r := newFixture(t).withSample()
	admin := r.logIn()
	page := r.with(admin, http.MethodGet, "/admin/access?workspace="+r.alpha.ID.String(), "", "Accept", "text/html")
	require.Contains(t, string(page.body), "See what it has, and delete it")
	page = r.with(admin, http.MethodGet, "/admin/access?delete=1&workspace="+r.alpha.ID.String(), "", "Accept", "text/html")
	require.Contains(t, string(page.body), "<td>datasets</td>")
	send := func(confirm string) answer {
		form := strings.NewReader("workspace=" + r.alpha.ID.String() + "&confirm=" + confirm)
		a, err := r.try(http.MethodPost, "/admin/access/workspaces/delete", form, asBrowser(admin)...)
		require.NoError(t, err)
		return a
	}
	refused := send("beta")
	require.Equal(t, http.StatusConflict, refused.status)
	require.Contains(t, string(refused.body), "is not the workspace")
	shown := send("alpha")
	require.Equal(t, http.StatusOK, shown.status)
	require.Contains(t, string(shown.body), "Deleted workspaces")
	require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/datasets", "").status)
}
