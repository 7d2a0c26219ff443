package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/manifest"
)

// SealManifest completes a manifest with the program and the hashes of the result's parts, and returns its
// canonical form and hash.
func SealManifest(m *manifest.Manifest, parts map[string]string, version string) (body string, sum []byte, err error) {
	m.Format, m.Program = manifest.Format, manifest.ThisProgram(version)
	if m.Result, err = manifest.NewResult(parts); err != nil {
		return "", nil, err
	}
	canonical, err := m.Canonical()
	if err != nil {
		return "", nil, err
	}
	hash := sha256.Sum256(canonical)
	return string(canonical), hash[:], nil
}

// ReadManifest reads the manifest of one result from its table, and its hash in hex. ErrNotFound when the
// result is not there or has none, because it has not ended or is from before there were manifests.
func (s *DB) ReadManifest(ctx context.Context, workspace uuid.UUID, table string, id uuid.UUID) (body, sum string, err error) {
	err = s.InWorkspace(ctx, workspace, func(tx *Tx) error {
		err := tx.QueryRow(ctx, `select manifest, encode(manifest_sha256, 'hex') from `+pgx.Identifier{table}.Sanitize()+`
			where workspace_id = $1 and id = $2 and manifest is not null`, workspace, id).Scan(&body, &sum)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("manifest of %s: %w", id, ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read manifest of %s: %w", id, err)
		}
		return nil
	})
	return body, sum, err
}
