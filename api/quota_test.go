package api_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store/tenants"
)

// limit sets quotas of alpha.
func (r *fixture) limit(quotas string) {
	r.t.Helper()
	set := r.admin(http.MethodPatch, "/admin/workspaces/"+r.alpha.ID.String(), `{"limits":{`+quotas+`}}`)
	require.Equal(r.t, http.StatusOK, set.status, string(set.body))
}

// usage is what alpha has.
func (r *fixture) usage() types.Usage {
	r.t.Helper()
	own := into[types.OwnWorkspace](r.t, r.do(http.MethodGet, "/workspace", ""))
	admins := into[types.WorkspaceUsage](r.t, r.admin(http.MethodGet, "/admin/workspaces/"+r.alpha.ID.String(), ""))
	require.Equal(r.t, admins.Usage, own.Usage)
	return own.Usage
}

// requireOverQuota holds an answer to a problem that names the quota, its limit and the way out.
func requireOverQuota(t *testing.T, a answer, status int, quota string, limit int64) {
	t.Helper()
	require.Equal(t, status, a.status, string(a.body))
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	for _, said := range []string{`"field":"` + quota + `"`, `"limit":` + strconv.FormatInt(limit, 10), "have an admin raise the quota"} {
		require.Contains(t, string(a.body), said)
	}
}

func TestASubmissionBeyondTheQuotaOfTrialsSaysWhatIsUsed(t *testing.T) {
	r := newFixture(t).withSample()
	body := smallTune
	first := r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "1")
	require.Equal(t, http.StatusAccepted, first.status, string(first.body))
	trials := into[struct {
		NTrials int64 `json:"n_trials"`
	}](t, first).NTrials
	require.Equal(t, trials, r.usage().TrialsToday, "they are shown without a quota too")
	r.limit(`"trials_per_day":` + strconv.FormatInt(trials, 10))
	refused := r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "2")
	requireOverQuota(t, refused, http.StatusTooManyRequests, "trials_per_day", trials)
	after, err := strconv.Atoi(refused.header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, after)
	require.LessOrEqual(t, after, 24*3600)
	require.Equal(t, 1, r.count(`select count(*) from tunes`))
	r.limit(`"trials_per_day":` + strconv.FormatInt(2*trials, 10))
	require.Equal(t, http.StatusAccepted, r.do(http.MethodPost, "/backtests/tune", body, "X-Idempotency-Key", "2").status, "the key is free")
	require.Equal(t, 2*trials, r.usage().TrialsToday)
	require.Equal(t, http.StatusUnprocessableEntity, r.admin(http.MethodPatch, "/admin/workspaces/"+r.alpha.ID.String(), `{"limits":{"trials_per_day":-1}}`).status)
}

func TestAnUploadBeyondAQuotaIsRefusedAndStoresNothing(t *testing.T) {
	r := newFixture(t).withSample()
	has := r.usage()
	require.EqualValues(t, 1, has.Datasets)
	require.Greater(t, has.Bytes, int64(1000))
	bars := lines(ohlcv.Sample(), 0, 800)

	r.limit(`"datasets":1`)
	requireOverQuota(t, r.upload(r.key, "more", bars), http.StatusRequestEntityTooLarge, "datasets", 1)
	r.limit(`"datasets":2,"bytes":` + strconv.FormatInt(has.Bytes+100, 10))
	requireOverQuota(t, r.upload(r.key, "more", bars), http.StatusRequestEntityTooLarge, "bytes", has.Bytes+100)
	require.Equal(t, has, r.usage())
	require.Equal(t, http.StatusCreated, r.upload(r.other, "more", bars).status, "another workspace has quotas of its own")
	r.limit(`"bytes":0`)
	require.Equal(t, http.StatusCreated, r.upload(r.key, "more", bars).status)
	r.limit(`"bytes":` + strconv.FormatInt(r.usage().Bytes, 10))
	requireOverQuota(t, r.extend("more", lines(ohlcv.Sample(), 790, 900), nil), http.StatusRequestEntityTooLarge, "bytes", r.usage().Bytes)

	r.limit(`"bytes":0,"documents":1`)
	text := func(key, title string) answer {
		return r.do(http.MethodPost, "/ingest", `{"title":"`+title+`","text":"A close above the range of `+title+` is a long entry."}`, "X-Idempotency-Key", key)
	}
	require.Equal(t, http.StatusAccepted, text("1", "one").status)
	requireOverQuota(t, text("2", "two"), http.StatusRequestEntityTooLarge, "documents", 1)
	require.Equal(t, 1, r.count(`select count(*) from documents`))
	require.Equal(t, http.StatusAccepted, text("1", "one").status, "a replay asks for nothing more")
}

// A file is refused at the part that is beyond the quota, not at its end, and what was received of it is dropped.
func TestAQuotaReachedInTheMiddleOfAnUploadEndsIt(t *testing.T) {
	r := newFixture(t)
	r.limit(`"bytes":3000000`)
	reader, writer := io.Pipe()
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	part, err := form.CreateFormFile("file", "book.txt")
	require.NoError(t, err)
	go func() {
		_, _ = io.Copy(writer, &head)
		for range 90 { // 90 MB, of which the server must not wait for the last
			if _, err := writer.Write(bytes.Repeat([]byte("A long entry. "), 75_000)); err != nil {
				return
			}
		}
		_ = part
		_ = writer.CloseWithError(io.ErrUnexpectedEOF)
	}()
	a, err := r.try(http.MethodPost, "/ingest", reader, "Authorization", "Bearer "+r.key, "Content-Type", form.FormDataContentType(), "X-Idempotency-Key", "1")
	require.NoError(t, err)
	requireOverQuota(t, a, http.StatusRequestEntityTooLarge, "bytes", 3_000_000)
	require.Zero(t, r.count(`select count(*) from ingest_uploads`))
	require.Zero(t, r.usage().Bytes)
	require.True(t, strings.Contains(string(a.body), "adds 1048576"), string(a.body))
}

// Workspaces that are made without quotas get the server's, and those that ask for their own, or for none by 0, have them.
func TestNewWorkspacesHaveTheServersQuotas(t *testing.T) {
	most := func(n int) *int { return &n }
	given := tenants.WorkspaceLimits{TrialsPerDay: most(1000), Bytes: most(2000), Datasets: most(3), Documents: most(4)}
	r := newFixture(t, func(o *api.Options) { o.Limits.Quotas = given })
	for limits, want := range map[string][4]*int{
		`{}`:                   {given.TrialsPerDay, given.Bytes, given.Datasets, given.Documents},
		`{"trials_per_day":5}`: {most(5), given.Bytes, given.Datasets, given.Documents},
		`{"trials_per_day":0,"bytes":0,"datasets":0,"documents":0}`: {},
		`{"bytes":6,"datasets":7,"documents":8}`:                    {given.TrialsPerDay, most(6), most(7), most(8)},
	} {
		name := "quotas " + strconv.Itoa(len(limits))
		made := r.admin(http.MethodPost, "/admin/workspaces", `{"name":"`+name+`","limits":`+limits+`}`, "X-Idempotency-Key", name)
		require.Equal(t, http.StatusCreated, made.status, string(made.body))
		got := into[types.Workspace](t, made).Limits
		require.Equal(t, want, [4]*int{got.TrialsPerDay, got.Bytes, got.Datasets, got.Documents}, limits)
	}
	require.Nil(t, into[types.WorkspaceUsage](t, r.admin(http.MethodGet, "/admin/workspaces/"+r.alpha.ID.String(), "")).Limits.Bytes, "one that was there has none")
}
