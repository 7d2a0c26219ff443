package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Versioned is what has numbered versions under a name.
type Versioned string

// The kinds of names with versions.
const (
	VersionedDataset  Versioned = "dataset"
	VersionedStrategy Versioned = "strategy"
)

// RetireVersions notes that versions of names were deleted, whose numbers are not given again.
func RetireVersions(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, kind Versioned, names []string, versions []int32) error {
	_, err := tx.Exec(ctx, `
		insert into retired_versions (workspace_id, kind, name, version)
		select $1, $2, name, max(version) from unnest($3::text[], $4::int[]) u (name, version) group by name
		on conflict (workspace_id, kind, name) do update set version = greatest(retired_versions.version, excluded.version)`,
		workspace, kind, names, versions)
	if err != nil {
		return fmt.Errorf("retire versions: %w", err)
	}
	return nil
}

// RetiredVersion is the highest number of the deleted versions of a name; 0 when none was deleted.
func RetiredVersion(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, kind Versioned, name string) (int, error) {
	var version int
	err := tx.QueryRow(ctx, `
		select coalesce(max(version), 0) from retired_versions where workspace_id = $1 and kind = $2 and name = $3`, workspace, kind, name).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("read the retired versions of %q: %w", name, err)
	}
	return version, nil
}
