package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// AuditLine is an entry as it is stored.
type AuditLine struct {
	Seq   int64
	Entry []byte // JSON, whose bytes the hash is of
	Hash  []byte
}

// AuditPage reads up to limit entries of a workspace's chain: those after a place in order or, newest first,
// those before it, with 0 from the end.
func (s *DB) AuditPage(ctx context.Context, workspace uuid.UUID, place int64, newestFirst bool, limit int) ([]AuditLine, error) {
	sql := `select seq, entry, hash from audit_log where workspace_id = $1 and seq > $2 order by seq limit $3`
	if newestFirst {
		sql = `select seq, entry, hash from audit_log where workspace_id = $1 and ($2 = 0 or seq < $2) order by seq desc limit $3`
	}
	var lines []AuditLine
	err := s.inChain(ctx, workspace, func(tx *Tx) error {
		rows, err := tx.Query(ctx, sql, workspace, place, limit)
		if err != nil {
			return fmt.Errorf("read audit log: %w", err)
		}
		lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l AuditLine, err error) {
			return l, row.Scan(&l.Seq, &l.Entry, &l.Hash)
		})
		if err != nil {
			return fmt.Errorf("read audit log: %w", err)
		}
		return nil
	})
	return lines, err
}

// AuditPlace is an entry's place in its chain and its hash; of no entry they are 0 and empty.
type AuditPlace struct {
	Seq  int64
	Hash []byte
}

// AuditEnds are the ends of a chain as its head has them: the last entry that retention took away, which the first that
// is kept continues, and the last entry.
func (s *DB) AuditEnds(ctx context.Context, workspace uuid.UUID) (base, head AuditPlace, err error) {
	err = s.inChain(ctx, workspace, func(tx *Tx) error {
		err := tx.QueryRow(ctx, `select base_seq, base_hash, seq, hash from audit_heads where workspace_id = $1`, workspace).
			Scan(&base.Seq, &base.Hash, &head.Seq, &head.Hash)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the head of the audit log: %w", err)
		}
		return nil
	})
	return base, head, err
}

// inChain reads a workspace's chain as that workspace, and the server's as the fleet.
func (s *DB) inChain(ctx context.Context, workspace uuid.UUID, fn func(*Tx) error) error {
	if workspace == uuid.Nil {
		return s.InFleet(ctx, fn)
	}
	return s.InWorkspace(ctx, workspace, fn)
}
