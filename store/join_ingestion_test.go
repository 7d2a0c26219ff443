package store_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/stores"
	"millrace/store/storetest"
)

// address is an ingestion of an address.
type address struct {
	key, url string
	depth    int
	body     byte // what else the request says
}

// submit answers with all that is known of the ingestion before it is stored. The ingestion is nil where it was submitted before.
func (a address) submit(ctx context.Context, d *storetest.Fixture, at *stores.Set) (*library.Ingest, store.Response, error) {
	var made *library.Ingest
	sub := store.Submission{Workspace: d.Space.ID, Route: "test", Key: a.key, QueueDepth: a.depth, Fingerprint: [32]byte{a.body}}
	resp, err := at.Library.CreateIngest(ctx, sub,
		library.NewIngest{SourceType: knowledge.SourceArticle, Detected: true, CanonicalURL: a.url, URL: a.url},
		func(in *library.Ingest) (store.Response, error) {
			made = in
			body, err := json.Marshal(map[string]any{"job_id": in.ID, "document_id": in.DocumentID, "created_at": in.CreatedAt.UTC()})
			return store.Response{Status: http.StatusAccepted, Location: "/ingest/jobs/" + in.ID.String(), Body: body}, err
		})
	if err != nil || resp.Replayed {
		made = nil
	}
	return made, resp, err
}

// addressed is a fixture with one ingestion, submitted by a process whose round trips are noted.
func addressed(t *testing.T) (d *storetest.Fixture, at *stores.Set, first *library.Ingest, trips *storetest.RoundTrips) {
	t.Helper()
	d, trips = storetest.New(t), &storetest.RoundTrips{}
	at = servers(d, 1, 6, trips)[0]
	first, _, err := address{key: "first", url: "http://a.test/first"}.submit(t.Context(), d, at)
	require.NoError(t, err)
	trips.Take()
	return d, at, first, trips
}

// moreIngestions adds four more than there may be connections.
const moreIngestions = `
	insert into ingest_jobs (id, workspace_id, source_type, detected, document_id, url, name, options, bytes, river_job_id)
	select gen_random_uuid(), i.workspace_id, i.source_type, i.detected, i.document_id, i.url, i.name, i.options, i.bytes, i.river_job_id
	  from ingest_jobs i, generate_series(1, current_setting('max_connections')::int + 4)`

// An ingestion of an address that is new takes one round trip. Whatever is otherwise than that is seen, and it is submitted as any other.
func TestAnAddressThatIsNewIsSubmittedInOneRoundTripUnlessAnythingIsOtherwise(t *testing.T) {
	t.Parallel()
	const slots = `(current_setting('max_connections')::int)`
	for name, c := range map[string]struct {
		change string
		submit address
		depth  string // SQL; "": any
		inOne  bool
		fails  any  // type or value of the error
		again  bool // the answer is the first one's
		shares bool // the document is the first one's
	}{
		"nothing":                       {inOne: true},
		"an address of another type":    {change: `update documents set source_type = 'text'`, submit: address{url: "http://a.test/first"}, inOne: true},
		"a document that is there":      {submit: address{url: "http://a.test/first"}, shares: true},
		"the same again":                {submit: address{key: "first", url: "http://a.test/first"}, again: true},
		"the same, its document gone":   {change: `delete from documents`, submit: address{key: "first", url: "http://a.test/first"}, again: true},
		"the key with another body":     {submit: address{key: "first", body: 1}, fails: store.ErrKeyReused},
		"the key of one that expired":   {change: `update idempotency_keys set expires_at = now() - interval '1 day'`, submit: address{key: "first"}},
		"as many documents as may be":   {change: `update workspaces set max_documents = 1`, fails: new(*store.QuotaError)},
		"room for another document":     {change: `update workspaces set max_documents = 2`},
		"a workspace that is gone":      {change: `update workspaces set deleted_at = now()`, fails: store.ErrNotFound},
		"no room in the queue":          {depth: `1`, fails: store.ErrQueueFull},
		"room for one more":             {depth: `2`},
		"room for each connection":      {depth: slots + ` + 1`, inOne: true},
		"room for fewer than may enter": {depth: slots},
		"work that fills the queue":     {change: moreIngestions, depth: slots + ` + 5`, fails: store.ErrQueueFull},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, at, first, trips := addressed(t)
			ctx := t.Context()
			if c.change != "" {
				d.Exec(c.change)
			}
			c.submit.key, c.submit.url = cmp.Or(c.submit.key, "second"), cmp.Or(c.submit.url, "http://a.test/second")
			if c.depth != "" {
				c.submit.depth = d.Count(`select ` + c.depth)
			}
			rows := d.Count(`select count(*) from ingest_jobs`)
			made, resp, err := c.submit.submit(ctx, d, at)
			took := trips.Take()
			require.Contains(t, took[0], "queue_ingestion")
			require.Equal(t, c.inOne, len(took) == 1, strings.Join(took, "\n"))
			switch is := c.fails.(type) {
			case nil:
				require.NoError(t, err)
			case error:
				require.ErrorIs(t, err, is)
			default:
				require.ErrorAs(t, err, is)
			}
			if c.fails != nil || c.again {
				require.Equal(t, rows, d.Count(`select count(*) from ingest_jobs`))
				require.Equal(t, c.again, resp.Replayed)
				require.Equal(t, c.again, strings.Contains(string(resp.Body), first.ID.String()))
				return
			}
			stored, err := d.Store.Library.Ingest(ctx, d.Space.ID, made.ID)
			require.NoError(t, err)
			require.True(t, stored.CreatedAt.Equal(made.CreatedAt))
			require.Equal(t, made.RiverJobID, stored.RiverJobID)
			require.Equal(t, c.shares, made.DocumentID == first.DocumentID)
			require.Equal(t, 1, d.Count(`select count(*) from documents where id = $1 and canonical_url = $2`, made.DocumentID, c.submit.url))
			again, answer, err := c.submit.submit(ctx, d, at)
			require.NoError(t, err)
			require.Nil(t, again)
			require.Equal(t, string(resp.Body), string(answer.Body))
		})
	}
}

// One that follows another which could not be sent in one round trip is not tried so, until one could have been.
func TestAProcessRemembersWhetherAddressesAreNew(t *testing.T) {
	t.Parallel()
	d, at, _, trips := addressed(t)
	slots := d.Count(`select current_setting('max_connections')::int`)
	for i, c := range []struct {
		url           string
		depth         int
		tries, begins bool
	}{
		{url: "new", tries: true},
		{url: "first", tries: true, begins: true},
		{url: "first", begins: true},
		{url: "newer", begins: true},
		{url: "newest", tries: true},
		{url: "in a short queue", depth: slots, tries: true, begins: true},
		{url: "in a short queue too", depth: slots, begins: true},
		{url: "in a long queue", depth: 100 * slots, begins: true},
		{url: "in a long queue too", depth: 100 * slots, tries: true},
	} {
		_, _, err := address{key: fmt.Sprint("k", i), url: "http://a.test/" + c.url, depth: c.depth}.submit(t.Context(), d, at)
		require.NoError(t, err)
		sent := strings.Join(trips.Take(), "; ")
		require.Equal(t, c.tries, strings.Contains(sent, "queue_ingestion"), c.url)
		require.Equal(t, c.begins, strings.Contains(sent, "open_submission"), c.url)
	}
}

// What a full queue has refused is not tried in one round trip when it comes again, as it does until there is room.
func TestAFullQueueIsTriedInOneRoundTripOnce(t *testing.T) {
	t.Parallel()
	d, at, _, trips := addressed(t)
	slots := d.Count(`select current_setting('max_connections')::int`)
	d.Exec(moreIngestions)
	for i := range 3 {
		_, _, err := address{key: "again", url: "http://a.test/again", depth: slots + 5}.submit(t.Context(), d, at)
		require.ErrorIs(t, err, store.ErrQueueFull)
		require.Equal(t, i == 0, strings.Contains(strings.Join(trips.Take(), "; "), "queue_ingestion"), "try %d", i)
	}
}

// What is written in one round trip is what is written in two: every row of the transaction in every table, by columns.
func TestAnIngestionInOneRoundTripWritesTheSameRows(t *testing.T) {
	t.Parallel()
	d, at, _, trips := addressed(t)
	ctx := store.WithAudit(t.Context(), store.NewAudit(d.Space.ID, store.AuditEntry{Route: "test"}).OfSubmission())
	_, _, err := address{key: "in one", url: "http://a.test/one", depth: 100_000}.submit(ctx, d, at)
	require.NoError(t, err)
	require.Len(t, trips.Take(), 1)
	for n := range 2 { // the next one begins first
		_, _, err = address{key: fmt.Sprint("again", n), url: "http://a.test/first"}.submit(t.Context(), d, at)
		require.NoError(t, err)
	}
	trips.Take()
	ctx = store.WithAudit(t.Context(), store.NewAudit(d.Space.ID, store.AuditEntry{Route: "test"}).OfSubmission())
	_, _, err = address{key: "in two", url: "http://a.test/two", depth: 100_000}.submit(ctx, d, at)
	require.NoError(t, err)
	require.NotContains(t, strings.Join(trips.Take(), "; "), "queue_ingestion")
	one, two := writtenBy(d, "in one", "http://a.test/one"), writtenBy(d, "in two", "http://a.test/two")
	require.Equal(t, one, two)
	for _, table := range []string{"documents", "ingest_jobs", "river_job", "event_log", "idempotency_keys", "audit_unsealed"} {
		require.Contains(t, strings.Join(one, "\n"), table+" ")
	}
}

// writtenBy are the rows of the transaction that a key's answer was stored by, in the tables' order, with what differs from one submission to
// another by its name.
func writtenBy(d *storetest.Fixture, key, url string) (rows []string) {
	d.T.Helper()
	ctx := d.T.Context()
	var xid uint32
	var ingest, document, at, later string
	var job int64
	require.NoError(d.T, d.Owner.QueryRow(ctx, `
		select k.xmin::text::bigint, i.id::text, i.document_id::text, i.river_job_id, to_jsonb(i.created_at) #>> '{}', to_jsonb(i.created_at + interval '7 days') #>> '{}'
		  from idempotency_keys k join ingest_jobs i on k.location like '%' || i.id where k.key = $1`, key).Scan(&xid, &ingest, &document, &job, &at, &later))
	tables, err := d.Owner.Query(ctx, `select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`)
	require.NoError(d.T, err)
	var names []string
	for tables.Next() {
		var name string
		require.NoError(d.T, tables.Scan(&name))
		names = append(names, name)
	}
	require.NoError(d.T, tables.Err())
	short := strings.TrimSuffix(at, "+00:00")
	same := strings.NewReplacer(ingest, "INGEST", document, "DOCUMENT", at, "NOW", short, "NOW", later, "LATER", fmt.Sprintf("[%d]", job), "[JOB]", fmt.Sprintf(": %d,", job), ": JOB,",
		key, "KEY", url, "URL")
	for _, name := range names {
		texts, err := d.Owner.Query(ctx, `
			select (to_jsonb(t) || jsonb_build_object('body', convert_from((to_jsonb(t) ->> 'body')::bytea, 'UTF8')))
			       - case when $2 = 'audit_unsealed' or $2 like 'event\_log%' then '{xid,id,at,hash}'::text[] else '{}' end
			  from `+name+` t where xmin::text::bigint = $1 order by ctid`, xid, name)
		require.NoError(d.T, err)
		for texts.Next() {
			var text []byte
			require.NoError(d.T, texts.Scan(&text))
			if strings.HasPrefix(name, "event_log_") { // a partition
				name = "event_log"
			}
			rows = append(rows, name+" "+same.Replace(string(text)))
		}
		require.NoError(d.T, texts.Err())
	}
	return rows
}

// whileQueueing submits addresses, and calls fn while they wait for what another transaction holds, or for one another; how ends that one.
func whileQueueing(d *storetest.Fixture, at *stores.Set, until, how string, submit []address, fn func()) (made []*library.Ingest, answers []store.Response, failed []error) {
	d.T.Helper()
	ctx := d.T.Context()
	holder := d.Open(until)
	made, answers, failed = make([]*library.Ingest, len(submit)), make([]store.Response, len(submit)), make([]error, len(submit))
	var all sync.WaitGroup
	for i, a := range submit {
		all.Go(func() { made[i], answers[i], failed[i] = a.submit(ctx, d, at) })
		d.AwaitBlockedBy(i + 1)
	}
	fn()
	_, err := holder.Exec(ctx, how)
	require.NoError(d.T, err)
	all.Wait()
	return made, answers, failed
}

// What an ingestion that is sent in one round trip relies on stays so until it commits: its workspace and what that may have, what else enters, and its key.
func TestWhatAnIngestionInOneRoundTripSawIsHeld(t *testing.T) {
	t.Parallel()
	d, at, _, trips := addressed(t)
	whileQueueing(d, at, untilItsJob, `rollback`, []address{{key: "second", url: "http://a.test/second", depth: 100_000}}, func() {
		_, err := d.Owner.Exec(t.Context(), `select from workspaces for update nowait`)
		assert.Equal(t, store.LockNotAvailable, store.SQLState(err))
		for _, lock := range []string{
			`hashtextextended('millrace change ' || id::text, 0)`, `hashtextextended('millrace admission ' || id::text, 0)`,
			`1835625583, hashtext(id::text || ' test second')`,
		} {
			assert.Zero(t, d.Count(`select pg_try_advisory_xact_lock(`+lock+`)::int from workspaces`), "the lock of %s is free", lock)
		}
	})
	require.NotContains(t, strings.Join(trips.Take(), "; "), "open_submission")
}

// The same submission twice at once has one effect and one answer; with another body it is refused.
func TestOneKeyIngestsOnce(t *testing.T) {
	t.Parallel()
	d, at, _, _ := addressed(t)
	same := address{key: "second", url: "http://a.test/second"}
	_, answers, failed := whileQueueing(d, at, untilItsJob, `rollback`, []address{same, same, {key: "second", url: "http://a.test/other", body: 1}}, func() {})
	require.NoError(t, failed[0])
	require.NoError(t, failed[1])
	require.ErrorIs(t, failed[2], store.ErrKeyReused)
	require.False(t, answers[0].Replayed)
	require.True(t, answers[1].Replayed)
	require.Equal(t, string(answers[0].Body), string(answers[1].Body))
	require.Equal(t, 2, d.Count(`select count(*) from ingest_jobs`))
	require.Equal(t, 2, d.Count(`select count(*) from documents`))
}

// A document that is made or deleted meanwhile is seen when that commits, and the audit entry names the ingestion that is made then.
func TestADocumentThatComesOrGoesMeanwhileIsSeen(t *testing.T) {
	t.Parallel()
	const comes = `insert into documents (id, workspace_id, source_type, canonical_url) select gen_random_uuid(), id, 'article', 'http://a.test/second' from workspaces`
	for name, c := range map[string]struct {
		before, meanwhile, how string
		begins                 bool
	}{
		"comes":         {meanwhile: comes, how: `commit`, begins: true},
		"does not come": {meanwhile: comes, how: `rollback`},
		"goes":          {before: comes, meanwhile: `delete from documents where canonical_url like '%second'`, how: `commit`, begins: true},
		"does not go":   {before: comes, meanwhile: `delete from documents where canonical_url like '%second'`, how: `rollback`, begins: true},
		"is locked":     {before: comes, meanwhile: `select from documents where canonical_url like '%second' for update`, how: `commit`, begins: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, at, _, trips := addressed(t)
			if c.before != "" {
				d.Exec(c.before)
			}
			holder := d.Open(c.meanwhile)
			ctx := store.WithAudit(t.Context(), store.NewAudit(d.Space.ID, store.AuditEntry{}).OfSubmission())
			done := make(chan error, 1)
			var made *library.Ingest
			go func() {
				var err error
				made, _, err = address{key: "second", url: "http://a.test/second"}.submit(ctx, d, at)
				done <- err
			}()
			d.AwaitBlocked()
			_, err := holder.Exec(t.Context(), c.how)
			require.NoError(t, err)
			require.NoError(t, <-done)
			require.Equal(t, c.begins, strings.Contains(strings.Join(trips.Take(), "; "), "open_submission"))
			require.Equal(t, 1, d.Count(`select count(*) from documents where canonical_url like '%second'`))
			require.Equal(t, 1, d.Count(`select count(*) from documents d join ingest_jobs i on i.document_id = d.id where i.id = $1 and d.canonical_url like '%second'`, made.ID))
			require.Equal(t, 1, d.Count(`select count(*) from audit_unsealed where entry::text like '%' || $1::text || '%'`, made.ID.String()))
		})
	}
}

// A submission that is cut off, or whose commit fails, has made nothing, and is made by the next one with its key.
func TestAnIngestionInOneRoundTripThatFailsIsNotThere(t *testing.T) {
	t.Parallel()
	const all = `select (select count(*) from ingest_jobs) + (select count(*) from documents) + (select count(*) from river_job)
		+ (select count(*) from idempotency_keys) + (select count(*) from event_log where topic = 'ingestion') + (select count(*) from audit_unsealed)`
	second := address{key: "second", url: "http://a.test/second"}
	for name, fail := range map[string]func(d *storetest.Fixture, at *stores.Set, submit func() error){
		"its commit": func(d *storetest.Fixture, _ *stores.Set, submit func() error) {
			d.Exec(`create function refuse() returns trigger language plpgsql as 'begin raise exception ''not today''; end'`)
			d.Exec(`create constraint trigger refused after insert on ingest_jobs deferrable initially deferred for each row execute function refuse()`)
			require.ErrorContains(d.T, submit(), "not today")
			d.Exec(`drop trigger refused on ingest_jobs`)
		},
		"its connection": func(d *storetest.Fixture, _ *stores.Set, submit func() error) {
			holder, done := d.Open(untilItsJob), make(chan error, 1)
			go func() { done <- submit() }()
			d.AwaitBlocked()
			d.Exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
			require.Error(d.T, <-done)
			require.NoError(d.T, holder.Rollback(d.T.Context()))
		},
		"its request": func(d *storetest.Fixture, at *stores.Set, _ func() error) {
			holder, done := d.Open(untilItsJob), make(chan error, 1)
			ctx, cancel := context.WithCancel(d.T.Context())
			go func() {
				_, _, err := second.submit(ctx, d, at)
				done <- err
			}()
			d.AwaitBlocked()
			cancel()
			require.ErrorIs(d.T, <-done, context.Canceled)
			// What was sent is one transaction and commits by itself, unless the connection is found closed before.
			d.Exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
			require.NoError(d.T, holder.Rollback(d.T.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, at, _, _ := addressed(t)
			before := d.Count(all)
			ctx := store.WithAudit(t.Context(), store.NewAudit(d.Space.ID, store.AuditEntry{}).OfSubmission())
			fail(d, at, func() error {
				_, _, err := second.submit(ctx, d, at)
				return err
			})
			require.Equal(t, before, d.Count(all))
			made, _, err := second.submit(ctx, d, at)
			require.NoError(t, err)
			require.NotEqual(t, uuid.Nil, made.ID)
			require.Equal(t, before+6, d.Count(all))
			require.Equal(t, 1, d.Count(`select count(*) from audit_unsealed where entry::text like '%' || $1::text || '%'`, made.ID.String()))
		})
	}
}

// The depth of a queue is neither exceeded nor left unused when several processes submit addresses at once.
func TestTheDepthHoldsWhenSeveralProcessesSubmitAddressesAtOnce(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	depth := d.Count(`select current_setting('max_connections')::int`) + 40
	var clients sync.WaitGroup
	for s, at := range servers(d, 3, 4) {
		for c := range 4 {
			clients.Go(func() {
				for i := range (depth + 60) / 12 {
					name := fmt.Sprint(s, "-", c, "-", i)
					_, _, err := address{key: name, url: "http://a.test/" + name, depth: depth}.submit(t.Context(), d, at)
					if err != nil {
						assert.ErrorIs(t, err, store.ErrQueueFull)
					}
				}
			})
		}
	}
	clients.Wait()
	require.Equal(t, depth, d.Count(`select count(*) from ingest_jobs`))
}
