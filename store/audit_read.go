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

// sealAtOnce is how many entries one transaction seals.
const sealAtOnce = 2000

// SealAudit takes the committed entries of all chains into them, in transactions that stay short whatever has gathered.
func (s *DB) SealAudit(ctx context.Context) error {
	for {
		var sealed int
		err := s.InFleet(WithoutAudit(ctx), func(tx *Tx) error {
			return tx.QueryRow(ctx, `select audit_seal(null, $1)`, sealAtOnce).Scan(&sealed)
		})
		if err != nil {
			return fmt.Errorf("seal the audit log: %w", err)
		}
		if sealed < sealAtOnce {
			return nil
		}
	}
}

// sealChain takes the committed entries of a chain into it. Where the database only reads they stay as they are.
func (s *DB) sealChain(ctx context.Context, workspace uuid.UUID) error {
	for {
		var sealed int
		err := s.inChain(WithoutAudit(ctx), workspace, func(tx *Tx) error {
			return tx.QueryRow(ctx, `select audit_seal($1, $2)`, workspace, sealAtOnce).Scan(&sealed)
		})
		if err != nil && SQLState(err) != readOnlyTransaction {
			return fmt.Errorf("seal the audit log: %w", err)
		}
		if err != nil || sealed < sealAtOnce {
			return nil
		}
	}
}

// AuditPage reads up to limit entries of a workspace's chain: those after a place in order or, newest first,
// those before it, with 0 from the end. What is committed when the first page is read is in the chain.
func (s *DB) AuditPage(ctx context.Context, workspace uuid.UUID, place int64, newestFirst bool, limit int) ([]AuditLine, error) {
	if place == 0 {
		if err := s.sealChain(ctx, workspace); err != nil {
			return nil, err
		}
	}
	sql := `select seq, entry, hash from audit_log where workspace_id = $1 and seq > $2 order by seq limit $3`
	if newestFirst {
		sql = `select seq, entry, hash from audit_log where workspace_id = $1 and ($2::bigint = 0 or seq < $2) order by seq desc limit $3`
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
// is kept continues, and the last entry; and how many entries are not yet sealed into it.
func (s *DB) AuditEnds(ctx context.Context, workspace uuid.UUID) (base, head AuditPlace, unsealed int, err error) {
	if err := s.sealChain(ctx, workspace); err != nil {
		return base, head, 0, err
	}
	err = s.inChain(ctx, workspace, func(tx *Tx) error {
		err := tx.QueryRow(ctx, `
			select coalesce(base_seq, 0), coalesce(base_hash, ''), coalesce(seq, 0), coalesce(hash, ''),
			       (select count(*) from audit_unsealed where workspace_id = $1)
			  from (select) one left join audit_heads on workspace_id = $1`, workspace).
			Scan(&base.Seq, &base.Hash, &head.Seq, &head.Hash, &unsealed)
		if err != nil {
			return fmt.Errorf("read the head of the audit log: %w", err)
		}
		return nil
	})
	return base, head, unsealed, err
}

// inChain reads a workspace's chain as that workspace, and the server's as the fleet. That of a deleted workspace, whose
// transactions cannot begin any more, is read as the fleet too: no key of a workspace gets here without one.
func (s *DB) inChain(ctx context.Context, workspace uuid.UUID, fn func(*Tx) error) error {
	if workspace == uuid.Nil {
		return s.InFleet(ctx, fn)
	}
	err := s.InWorkspace(ctx, workspace, fn)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.InFleet(ctx, func(tx *Tx) error {
		var left bool
		failed := tx.QueryRow(ctx, `
			select exists (select from audit_heads where workspace_id = $1) or exists (select from audit_unsealed where workspace_id = $1)`, workspace).Scan(&left)
		if failed != nil {
			return fmt.Errorf("look for the audit log of workspace %s: %w", workspace, failed)
		}
		if !left {
			return err
		}
		return fn(tx)
	})
}
