package tenants

import (
	"crypto/sha256"
	"sync"
	"time"

	"millrace/store"
)

// seen are keys that this process has looked up, by their digests. What it says is a guess: it opens nothing. It is safe for
// concurrent use.
type seen struct {
	mu sync.Mutex
	is map[[32]byte]sight
}

// sight is what was seen of a key, of which a use is due to be noted at a time.
type sight struct {
	Principal

	due time.Time
}

// mostSeen is how many of them are kept; beyond it all are forgotten, which costs each a round trip.
const mostSeen = 10_000

// note remembers whose a key is, whose use was noted so long ago.
func (s *seen) note(digest [32]byte, p Principal, used time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Ends != nil { // each answer says when
		delete(s.is, digest)
		return
	}
	if s.is == nil || len(s.is) >= mostSeen {
		s.is = map[[32]byte]sight{}
	}
	s.is[digest] = sight{p, time.Now().Add(time.Minute - used)}
}

func (s *seen) forget(digest [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.is, digest)
}

// Remembered is whose key a secret was when this process looked it up last; it is not ok where a use of it is to be noted. Nothing may be answered by it before the
// transaction of a submission with the Caller has found it to be so.
func (s *Store) Remembered(secret string) (Principal, *store.Caller, bool) {
	digest := sha256.Sum256([]byte(secret))
	s.seen.mu.Lock()
	p, ok := s.seen.is[digest]
	s.seen.mu.Unlock()
	if !ok || !time.Now().Before(p.due) {
		return Principal{}, nil, false
	}
	return p.Principal, &store.Caller{
		Key: p.KeyID, Digest: digest, Name: p.KeyName, Role: string(p.Role),
		Submissions: p.Limits.SubmissionsPerMinute, Queries: p.Limits.QueriesPerMinute, Depth: p.Limits.QueueDepth,
	}, true
}
