package tenants

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/store"
)

const (
	// knownFor is how long a principal is known after it was looked up, which also notes that its key is used.
	knownFor = 10 * time.Second
	// knownMost bounds how many are known.
	knownMost = 10_000
)

// Known remembers who showed a key lately. What it knows proves nothing: a submission's transaction has to find the same, see
// Caller. It is safe for concurrent use.
type Known struct {
	mu sync.Mutex
	of map[[32]byte]known
}

type known struct {
	principal Principal
	until     time.Time
}

// Of is who showed a secret lately.
func (k *Known) Of(secret string) (Principal, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found, ok := k.of[sha256.Sum256([]byte(secret))]
	return found.principal, ok && time.Now().Before(found.until)
}

// Note remembers who was looked up by a secret.
func (k *Known) Note(secret string, p Principal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil || len(k.of) >= knownMost {
		k.of = map[[32]byte]known{}
	}
	k.of[sha256.Sum256([]byte(secret))] = known{p, time.Now().Add(knownFor)}
}

// Forget forgets a secret.
func (k *Known) Forget(secret string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, sha256.Sum256([]byte(secret)))
}

// callerLook holds a key and its workspace's limits to what is known of them, but for when the key ends within two weeks,
// which only its answers' header says.
const callerLook = `
	select exists (
	       select from api_keys k join workspaces w on w.id = k.workspace_id
	        where k.id = $1 and k.key_sha256 = $2 and k.workspace_id = $3 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
	          and k.name = $4 and k.role = $5 and w.submissions_per_minute is not distinct from $6
	          and w.queries_per_minute is not distinct from $7 and w.queue_depth is not distinct from $8)`

// Caller has a submission's transaction look whether the key of a secret still gives this principal.
func (p Principal) Caller(secret string) *store.Caller {
	digest := sha256.Sum256([]byte(secret))
	return &store.Caller{Look: func(batch *pgx.Batch, found *bool) {
		batch.Queue(callerLook, p.KeyID, digest[:], p.WorkspaceID, p.KeyName, p.Role,
			p.Limits.SubmissionsPerMinute, p.Limits.QueriesPerMinute, p.Limits.QueueDepth).
			QueryRow(func(row pgx.Row) error { return row.Scan(found) })
	}}
}
