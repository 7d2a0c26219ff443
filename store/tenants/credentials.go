package tenants

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CredentialKind is what a credential is.
type CredentialKind string

// The kinds of credentials.
const (
	CredentialKey        CredentialKind = "key"         // of a workspace; its id
	CredentialAdminToken CredentialKind = "admin token" // of admin_tokens; its id
	CredentialSession    CredentialKind = "session"     // its digest
	CredentialTicket     CredentialKind = "ticket"      // its digest
	CredentialWorkspace  CredentialKind = "workspace"   // that a stream is of; its id
)

// Credential is what opened something that stays open, and can end meanwhile.
type Credential struct {
	Kind CredentialKind
	ID   string // the bytes of its id or digest
}

// Ended lists those of the credentials that open nothing any more, in one query however many there are.
func (s *Store) Ended(ctx context.Context, all []Credential) ([]Credential, error) {
	kinds, ids := make([]string, len(all)), make([][]byte, len(all))
	for i, c := range all {
		kinds[i], ids[i] = string(c.Kind), []byte(c.ID)
	}
	var ended []Credential
	batch := &pgx.Batch{}
	batch.Queue(`begin`)
	batch.Queue(`set local role millrace_fleet`)
	batch.Queue(`
		select c.kind, c.id from unnest($1::text[], $2::bytea[]) c (kind, id)
		 where not case c.kind
		       when 'key' then exists (select from api_keys k where k.id = encode(c.id, 'hex')::uuid
		                                  and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()))
		       when 'admin token' then exists (select from admin_tokens a where a.id = encode(c.id, 'hex')::uuid
		                                          and a.revoked_at is null and (a.expires_at is null or a.expires_at > now()))
		       when 'workspace' then exists (select from workspaces w where w.id = encode(c.id, 'hex')::uuid)
		       when 'session' then exists (select from `+liveSessions+` s where s.digest = c.id)
		       else exists (select from `+liveTickets+` t where t.digest = c.id)
		       end`, kinds, ids).Query(func(rows pgx.Rows) error {
		var kind CredentialKind
		var id []byte
		_, err := pgx.ForEachRow(rows, []any{&kind, &id}, func() error {
			ended = append(ended, Credential{kind, string(id)})
			return nil
		})
		return err
	})
	batch.Queue(`commit`)
	// After an error the transaction is still open, and the pool closes such a connection.
	if err := s.db.Pool().SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("look up credentials: %w", err)
	}
	return ended, nil
}
