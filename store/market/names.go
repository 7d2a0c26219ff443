package market

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"millrace/store"
)

// namesKept bounds the names that a process remembers, a few hundred bytes each.
const namesKept = 4096

// nameKey has the workspace in it, so that what is remembered can never answer for a foreign one.
type nameKey struct {
	workspace uuid.UUID
	idOrName  string
}

// names are the datasets that were found by names. What a version is does not change, but a name comes to mean
// another version, and a version can be deleted.
type names struct {
	mu    sync.Mutex
	found map[nameKey]Dataset
}

func (n *names) get(key nameKey) (Dataset, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	found, ok := n.found[key]
	return found, ok
}

func (n *names) keep(key nameKey, found Dataset) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.found == nil || len(n.found) >= namesKept {
		n.found = map[nameKey]Dataset{}
	}
	n.found[key] = found
}

// RememberedDataset is Dataset from memory, when this process found it by that name before: for work whose submission
// asks whether the name means it still, see NameOf.
func (s *Store) RememberedDataset(ctx context.Context, workspace uuid.UUID, idOrName string) (Dataset, error) {
	if found, ok := s.names.get(nameKey{workspace, idOrName}); ok {
		return found, nil
	}
	return s.Dataset(ctx, workspace, idOrName)
}

// NameOf is how a request that names a dataset so does it, for store.Named.
func NameOf(idOrName string) store.DatasetName {
	if _, err := uuid.Parse(idOrName); err == nil {
		return store.DatasetName{}
	}
	series, version, _ := SplitVersion(idOrName)
	return store.DatasetName{Text: idOrName, Series: series, Version: version}
}
