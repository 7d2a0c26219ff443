package strategies

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/store"
)

// MaxScripts is how many scripts a workspace may keep.
const MaxScripts = 1000

// ErrFull says that the workspace keeps as many scripts as it may.
var ErrFull = errors.New("the workspace keeps as many scripts as it may")

// Status says whether a script may be trusted.
type Status string

// The statuses: a version is checking until its examination has ended. A refused one may not be tuned; an
// unstable one looks ahead or gives two results on the same bars.
const (
	Checking Status = "checking"
	Ready    Status = "ready"
	Refused  Status = "refused"
	Unstable Status = "unstable"
)

// Statuses lists them all.
func Statuses() []Status { return []Status{Checking, Ready, Refused, Unstable} }

// Report is what compiling and examining a script found.
type Report struct {
	Title       string               `json:"title"`
	Semantics   string               `json:"semantics"` // by which version of our rules
	Class       string               `json:"class"`
	Params      []backtest.ParamSpec `json:"params"`
	Space       map[string]pine.Axis `json:"param_space"`
	Account     backtest.Account     `json:"account"`
	Notes       []pine.Diagnostic    `json:"notes"`
	Examination backtest.Examination `json:"examination"`
	// Warmup is how many bars before a window trials see at the defaults; nil: all there are.
	Warmup *int `json:"warmup,omitempty"`
}

// Script is one version of a script, without its source.
type Script struct {
	ID        uuid.UUID
	Name      string
	Version   int
	SHA256    []byte
	Report    Report
	Status    Status
	CreatedAt time.Time
	CheckedAt *time.Time // when its examination ended; nil: not yet, or within its upload
	// ArchivedAt is when it left the lists; nil: it is in them.
	ArchivedAt *time.Time
}

// FullName is what requests call the version.
func (s *Script) FullName() string { return fmt.Sprintf("%s%s@%d", Prefix, s.Name, s.Version) }

const columns = `id, name, version, sha256, report, status, created_at, checked_at, archived_at`

func scanScript(row pgx.CollectableRow) (Script, error) {
	var s Script
	var report []byte
	if err := row.Scan(&s.ID, &s.Name, &s.Version, &s.SHA256, &report, &s.Status, &s.CreatedAt, &s.CheckedAt, &s.ArchivedAt); err != nil {
		return s, err
	}
	return s, json.Unmarshal(report, &s.Report)
}

// Put stores a script as the next version of its name, and the job that examines it, in the transaction of
// its submission. The same source again is the version that is there, also when it was erased, and one that
// was refused, or examined by other rules, is examined again; under another name it is ErrConflict.
func (s *Store) Put(ctx context.Context, sub store.Submission, name, source string, report Report,
	render func(*Script) (store.Response, error),
) (store.Response, error) {
	encoded, err := json.Marshal(report)
	if err != nil {
		return store.Response{}, fmt.Errorf("encode report: %w", err)
	}
	sum := sha256.Sum256([]byte(source))
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		// One upload of a workspace at a time: versions are counted without gaps.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('strategies ' || $1::text, 0))`, sub.Workspace); err != nil {
			return store.Response{}, fmt.Errorf("lock scripts: %w", err)
		}
		script, err := s.put(ctx, tx, sub.Workspace, name, sum[:], source, encoded)
		if err != nil {
			return store.Response{}, err
		}
		return render(&script)
	})
}

func (s *Store) put(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, name string, sum []byte, source string, report []byte) (Script, error) {
	known, err := one(ctx, tx, `select `+columns+` from strategies where workspace_id = $1 and sha256 = $2`, workspace, sum)
	switch {
	case err == nil && known.Name != name:
		return known, fmt.Errorf("this script is %s: %w", known.FullName(), store.ErrConflict)
	case err == nil:
		_, err = tx.Exec(ctx, `update strategies set erased_at = null where workspace_id = $1 and id = $2 and erased_at is not null`, workspace, known.ID)
		if err != nil {
			return known, fmt.Errorf("restore script: %w", err)
		}
		if known.Status == Refused || known.Status != Checking && known.Report.Semantics != pine.Semantics {
			return s.checkAgain(ctx, tx, workspace, known.ID, report)
		}
		return known, nil
	case !errors.Is(err, store.ErrNotFound):
		return known, err
	}
	var kept int
	err = tx.QueryRow(ctx, `select count(*) from strategies where workspace_id = $1`, workspace).Scan(&kept)
	if err != nil {
		return known, fmt.Errorf("count scripts: %w", err)
	}
	if kept >= MaxScripts {
		return known, ErrFull
	}
	id, err := uuid.NewV7()
	if err != nil {
		return known, fmt.Errorf("script id: %w", err)
	}
	job, err := s.insertCheck(ctx, tx, workspace, id)
	if err != nil {
		return known, err
	}
	retired, err := store.RetiredVersion(ctx, tx, workspace, store.VersionedStrategy, name)
	if err != nil {
		return known, err
	}
	return one(ctx, tx, `
		insert into strategies (id, workspace_id, name, version, sha256, source, report, status, check_job_id)
		select $2, $1, $3, greatest(coalesce(max(version), 0), $9) + 1, $4, $5, $6, $7, $8 from strategies where workspace_id = $1 and name = $3
		returning `+columns, workspace, id, name, sum, source, report, Checking, job, retired)
}

// one reads one script, or ErrNotFound. Errors do not quote the statement's values.
func one(ctx context.Context, tx pgx.Tx, sql string, args ...any) (Script, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return Script{}, fmt.Errorf("read script: %w", err)
	}
	script, err := pgx.CollectExactlyOneRow(rows, scanScript)
	if errors.Is(err, pgx.ErrNoRows) {
		return script, fmt.Errorf("script: %w", store.ErrNotFound)
	}
	if err != nil {
		return script, fmt.Errorf("read script: %w", err)
	}
	return script, nil
}

// Get reads a script of the workspace that is not erased, or ErrNotFound.
func (s *Store) Get(ctx context.Context, workspace, id uuid.UUID) (Script, error) {
	var script Script
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		script, err = one(ctx, tx, `select `+columns+` from strategies where workspace_id = $1 and id = $2 and erased_at is null`, workspace, id)
		return err
	})
	return script, err
}

// List lists the workspace's scripts, newest first. archived nil: both.
func (s *Store) List(ctx context.Context, workspace uuid.UUID, archived *bool) ([]Script, error) {
	var list []Script
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+columns+` from strategies
			 where workspace_id = $1 and erased_at is null and ($3::boolean is null or (archived_at is not null) = $3)
			 order by created_at desc, id desc limit $2`, workspace, MaxScripts, archived)
		if err != nil {
			return fmt.Errorf("list scripts: %w", err)
		}
		if list, err = pgx.CollectRows(rows, scanScript); err != nil {
			return fmt.Errorf("list scripts: %w", err)
		}
		return nil
	})
	return list, err
}

// Source is the text of a script that is not erased, or ErrNotFound.
func (s *Store) Source(ctx context.Context, workspace, id uuid.UUID) (string, error) {
	var source string
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `select source from strategies where workspace_id = $1 and id = $2 and erased_at is null`, workspace, id).Scan(&source)
		return asMissing(err)
	})
	return source, err
}

// PinnedSource is the text of the script of a hash, in hex, also of one that was erased and is pinned; or
// ErrNotFound.
func (s *Store) PinnedSource(ctx context.Context, workspace uuid.UUID, sum string) (string, error) {
	var source string
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		return asMissing(tx.QueryRow(ctx, `select source from strategies where workspace_id = $1 and encode(sha256, 'hex') = $2`, workspace, sum).Scan(&source))
	})
	return source, err
}

func asMissing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("script: %w", store.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	return nil
}

// Hold takes a script for update, so that nothing pins it meanwhile. ErrNotFound says that the workspace does not have it.
func Hold(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) error {
	var held uuid.UUID
	err := tx.QueryRow(ctx, `select id from strategies where workspace_id = $1 and id = $2 and erased_at is null for update`, workspace, id).Scan(&held)
	return asMissing(err)
}

// Erase takes a script out of all lists. Its text is deleted unless a tune, a walk-forward or a run
// names the version; then it stays for these.
func Erase(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID) error {
	var own, name string
	var version int32
	err := tx.QueryRow(ctx, `
		update strategies set erased_at = now() where workspace_id = $1 and id = $2 and erased_at is null
		returning name, version, '`+Prefix+`' || name || '@' || version`, workspace, id).Scan(&own, &version, &name)
	if err != nil {
		return asMissing(err)
	}
	if err := store.RetireVersions(ctx, tx, workspace, store.VersionedStrategy, []string{own}, []int32{version}); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		delete from strategies s where workspace_id = $1 and id = $2
		   and not exists (select from tunes where workspace_id = $1 and strategy = $3)
		   and not exists (select from wfo_runs where workspace_id = $1 and strategy = $3)
		   and not exists (select from backtest_runs where workspace_id = $1 and strategy = $3)`, workspace, id, name)
	if err != nil {
		return fmt.Errorf("delete script: %w", err)
	}
	return nil
}
