package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"millrace/api/client"
	"millrace/api/types"
)

// auditFlags say whose chain of the audit log is meant.
type auditFlags struct {
	adminFlags
	Workspace string `arg:"" optional:"" help:"Name or id of the workspace; by default what belongs to none, such as sign-ins of admins."`
}

func (f auditFlags) chain(ctx context.Context) (*client.Client, string, error) {
	api, err := f.open()
	if err != nil || f.Workspace == "" {
		return api, "", err
	}
	id, err := workspaceID(ctx, api, f.Workspace)
	return api, id, err
}

// auditListCmd is the verb `admin audit list`.
type auditListCmd struct {
	auditFlags
	Limit int `default:"50" help:"Entries to show, from 1 to 1000."`
}

// Run prints the newest entries.
func (c *auditListCmd) Run(ctx context.Context, env *environment) error {
	api, id, err := c.chain(ctx)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	if id != "" {
		query.Set("workspace_id", id)
	}
	found, err := api.AdminAudit(ctx, query)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	writeRow(out, []string{"at", "who", "route", "entity", "outcome", "from", "request"})
	for _, e := range found.Items {
		who := strings.TrimSpace(e.Actor.Kind + " " + e.Actor.Name)
		writeRow(out, []string{e.At.UTC().Format(time.RFC3339), who, e.Route, strings.TrimSpace(e.Entity.Type + " " + e.Entity.ID), e.Outcome, e.From, e.RequestID})
	}
	return out.Flush()
}

// auditExportCmd is the verb `admin audit export`.
type auditExportCmd struct{ auditFlags }

// Run writes every entry as a line of JSON.
func (c *auditExportCmd) Run(ctx context.Context, env *environment) error {
	api, id, err := c.chain(ctx)
	if err != nil {
		return err
	}
	head, err := api.AuditExport(ctx, id, env.stdout)
	if err != nil {
		return err
	}
	fmt.Fprintln(env.stderr, "head:", printable(head.Place))
	return nil
}

// auditVerifyCmd is the verb `admin audit verify`.
type auditVerifyCmd struct {
	auditFlags
	File string `placeholder:"FILE" help:"Verify an export in place of the server's log."`
	Head string `placeholder:"PLACE:HASH" help:"A head that was noted before: the log must still pass through it."`
}

// Run reads the chain from its beginning and says where it breaks.
func (c *auditVerifyCmd) Run(ctx context.Context, env *environment) error {
	known, err := parseHead(c.Head)
	if err != nil {
		return configError{fmt.Errorf("--head: %w", err)}
	}
	chain := auditChain{known: known}
	if c.File != "" {
		err = chain.readFile(c.File)
	} else {
		err = c.readServer(ctx, &chain)
	}
	if err != nil {
		return err
	}
	after := ""
	if chain.base > 0 {
		after = fmt.Sprintf(" after entry %d, the last that retention took away", chain.base)
	}
	if chain.unsealed > 0 {
		after += fmt.Sprintf(", and %d not yet sealed into the chain", chain.unsealed)
	}
	_, err = fmt.Fprintf(env.stdout, "%d entries%s, unbroken; head %d:%x\n", chain.seq-chain.base, after, chain.seq, chain.hash)
	return err
}

// readServer verifies as the export arrives; the server's own head has to be on the way.
func (c *auditVerifyCmd) readServer(ctx context.Context, chain *auditChain) error {
	api, id, err := c.chain(ctx)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "millrace-audit-*.jsonl")
	if err != nil {
		return err
	}
	defer func() { _, _ = file.Close(), os.Remove(file.Name()) }()
	head, err := api.AuditExport(ctx, id, file)
	if err != nil {
		return err
	}
	chain.unsealed = head.Unsealed
	last, err := parseHead(head.Place)
	if err != nil {
		return fmt.Errorf("the server's head: %w", err)
	}
	chain.known = append(chain.known, last...)
	return chain.readFile(file.Name())
}

// auditHead is a place of a chain and the hash there.
type auditHead struct {
	seq  int64
	hash string
}

func parseHead(text string) ([]auditHead, error) {
	if text == "" || text == "0:" {
		return nil, nil
	}
	place, hash, ok := strings.Cut(text, ":")
	seq, err := strconv.ParseInt(place, 10, 64)
	if _, hexErr := hex.DecodeString(hash); !ok || err != nil || hexErr != nil || len(hash) != 64 {
		return nil, fmt.Errorf("%q is not PLACE:HASH, as verify prints it", text)
	}
	return []auditHead{{seq, hash}}, nil
}

// auditChain is how far a chain is verified.
type auditChain struct {
	base  int64 // the last entry that retention took away; 0: none
	seq   int64
	hash  []byte
	known []auditHead // which it must pass
	// How many entries the server has that are not yet sealed into the chain, and cannot be verified.
	unsealed int
}

func (a *auditChain) readFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read only: nothing to lose
	return a.read(file)
}

// read verifies lines of an export, and that the known heads were passed.
func (a *auditChain) read(from io.Reader) error {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := a.add(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
	}
	for _, head := range a.known {
		if head.seq > a.seq {
			return fmt.Errorf("the audit log ends at entry %d: entries up to %d were there and are missing", a.seq, head.seq)
		}
	}
	return nil
}

func (a *auditChain) add(line []byte) error {
	var found types.AuditLine
	var entry struct {
		Seq     int64
		Altered bool // before it was sealed
	}
	if err := json.Unmarshal(line, &found); err != nil {
		return fmt.Errorf("after entry %d: not a line of an export: %w", a.seq, err)
	}
	if found.Base > 0 {
		return a.begin(found)
	}
	if err := json.Unmarshal(found.Entry, &entry); err != nil {
		return fmt.Errorf("after entry %d: not an entry: %w", a.seq, err)
	}
	if entry.Seq != a.seq+1 {
		return fmt.Errorf("entry %d follows entry %d: entries are missing", entry.Seq, a.seq)
	}
	sum := sha256.Sum256(append(a.hash, found.Entry...))
	hash := hex.EncodeToString(sum[:])
	if hash != found.Hash {
		return fmt.Errorf("entry %d was changed, or one before it: its hash is %s and should be %s", entry.Seq, found.Hash, hash)
	}
	if entry.Altered {
		return fmt.Errorf("entry %d was changed before it was sealed into the chain", entry.Seq)
	}
	a.seq, a.hash = entry.Seq, sum[:]
	return a.compare(hash)
}

// compare holds the entry that was come to to the heads that are known.
func (a *auditChain) compare(hash string) error {
	for _, head := range a.known {
		if head.seq == a.seq && head.hash != hash {
			return fmt.Errorf("entry %d is not the one that was there: its hash is %s and was %s", a.seq, hash, head.hash)
		}
	}
	return nil
}

// begin takes the line that comes first where retention took entries away. A head that is among these cannot be verified
// by what is kept.
func (a *auditChain) begin(line types.AuditLine) error {
	hash, err := hex.DecodeString(line.Hash)
	if a.seq != 0 || err != nil || len(hash) != sha256.Size {
		return fmt.Errorf("after entry %d: not where a log begins", a.seq)
	}
	for _, head := range a.known {
		if head.seq < line.Base {
			return fmt.Errorf("entries up to %d were taken away by retention, so entry %d cannot be verified: verify an export of before with --file, and give a later head here", line.Base, head.seq)
		}
	}
	a.base, a.seq, a.hash = line.Base, line.Base, hash
	return a.compare(line.Hash)
}
