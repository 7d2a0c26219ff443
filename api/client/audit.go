package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"millrace/api/types"
)

// Audit lists the entries of the audit log of the key's workspace, newest first; query may hold cursor and limit.
func (c *Client) Audit(ctx context.Context, query url.Values) (*types.List[types.AuditEntry], error) {
	return get[types.List[types.AuditEntry]](ctx, c, "/audit", query)
}

// AdminAudit lists the entries of the workspace that query names as workspace_id, or of what belongs to none.
func (c *Client) AdminAudit(ctx context.Context, query url.Values) (*types.List[types.AuditEntry], error) {
	return get[types.List[types.AuditEntry]](ctx, c, "/admin/audit", query)
}

// AuditHead is where a chain of the audit log ends.
type AuditHead struct {
	Place    string // PLACE:HASH
	Unsealed int    // entries that the server has and that are not yet in the chain
}

// AuditExport copies a workspace's whole audit log, or with "" that of what belongs to none, as JSON lines: each
// an api/types.AuditLine. It returns the chain's head as the server has it.
func (c *Client) AuditExport(ctx context.Context, workspace string, to io.Writer) (head AuditHead, err error) {
	query := url.Values{"format": {"jsonl"}}
	if workspace != "" {
		query.Set("workspace_id", workspace)
	}
	req, err := c.request(ctx, http.MethodGet, "/admin/audit", query, http.NoBody)
	if err != nil {
		return head, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return head, fmt.Errorf("export the audit log: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or given up
	if resp.StatusCode != http.StatusOK {
		return head, readError(resp)
	}
	if _, err := io.Copy(to, resp.Body); err != nil {
		return head, fmt.Errorf("export the audit log: %w", err)
	}
	head.Place = resp.Header.Get("Audit-Head")
	head.Unsealed, _ = strconv.Atoi(resp.Header.Get("Audit-Unsealed")) // a server of before has none
	return head, nil
}
