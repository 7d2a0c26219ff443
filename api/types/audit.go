package types

import (
	"encoding/json"
	"time"
)

// AuditEntry says who changed what. The hash is SHA-256 of the hash before it and the entry's bytes, as the
// export (?format=jsonl) has them.
type AuditEntry struct {
	Seq         int64           `json:"seq"`
	At          time.Time       `json:"at"`
	WorkspaceID string          `json:"workspace_id"` // the nil UUID: of no workspace
	Actor       AuditActor      `json:"actor"`
	Route       string          `json:"route"`
	Entity      AuditEntity     `json:"entity"`
	From        string          `json:"from"` // the caller's address
	RequestID   string          `json:"request_id"`
	Outcome     string          `json:"outcome"` // ok, or refused of a sign-in
	Before      json.RawMessage `json:"before,omitempty"`
	After       json.RawMessage `json:"after,omitempty"`
	Hash        string          `json:"hash,omitempty"` // in hexadecimal
}

// AuditActor is who did it.
type AuditActor struct {
	Kind    string `json:"kind"` // key, admin or nobody
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Role    Role   `json:"role,omitempty"`
	Console bool   `json:"console,omitempty"` // with a session of the console
}

// AuditEntity is what was changed.
type AuditEntity struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
}

// AuditLine is a line of the export: the bytes of the entry are those that the hash is of. Where retention took entries
// away, the first line has no entry: base is the place of the last of them, and hash its hash, which the next line's
// continues.
type AuditLine struct {
	Hash  string          `json:"hash"`
	Base  int64           `json:"base,omitempty"`
	Entry json.RawMessage `json:"entry,omitempty"`
}
