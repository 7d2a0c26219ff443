package library

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

const (
	// uploadPart is how much of an upload is held in memory at once.
	uploadPart = 1 << 20
	// maxPendingUploads bounds what a workspace's unfinished ingestions keep in the database.
	maxPendingUploads = 2 << 30
)

// PutUpload copies content into the database, part by part, each in a transaction of its own: one
// over the whole of a slow upload would hold up the event feed of everybody. The upload belongs to no
// job yet; CreateIngest claims it. It is ErrUploadsFull when the workspace has too much waiting, and
// a *store.QuotaError at the part that is beyond its bytes: then what was copied is dropped. Content that cannot be read is
// an *UnreadError.
func (s *Store) PutUpload(ctx context.Context, workspace uuid.UUID, content io.Reader) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, fmt.Errorf("upload id: %w", err)
	}
	ctx = store.WithoutAudit(ctx) // what claims the upload is the change
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		var pending int64
		err := tx.QueryRow(ctx, `select coalesce(sum(size), 0) from ingest_uploads where workspace_id = $1`, workspace).Scan(&pending)
		if err != nil {
			return fmt.Errorf("count pending uploads: %w", err)
		}
		if pending > maxPendingUploads {
			return fmt.Errorf("%d bytes of uploads wait to be ingested: %w", pending, store.ErrUploadsFull)
		}
		_, err = tx.Exec(ctx, `insert into ingest_uploads (id, workspace_id) values ($1, $2)`, id, workspace)
		if err != nil {
			return fmt.Errorf("insert upload: %w", err)
		}
		return nil
	})
	if err != nil {
		return id, err
	}
	err = s.putParts(ctx, workspace, id, content)
	var quota *store.QuotaError
	if errors.As(err, &quota) { // what else fails leaves it to its caller and to ForgetUploads
		return id, errors.Join(err, s.DropUpload(ctx, workspace, id))
	}
	return id, err
}

// UnreadError is content that could not be read to its end; what else goes wrong with an upload is the store's.
type UnreadError struct{ Err error }

// Error implements error.
func (e *UnreadError) Error() string { return "read upload: " + e.Err.Error() }

// Unwrap implements the interface of errors.Is.
func (e *UnreadError) Unwrap() error { return e.Err }

func (s *Store) putParts(ctx context.Context, workspace, id uuid.UUID, content io.Reader) error {
	buffer := make([]byte, uploadPart)
	for part := 0; ; part++ {
		n, err := io.ReadFull(content, buffer)
		if n > 0 {
			if err := s.putPart(ctx, workspace, id, part, buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return &UnreadError{err}
		}
	}
}

func (s *Store) putPart(ctx context.Context, workspace, upload uuid.UUID, part int, data []byte) error {
	return s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into ingest_upload_parts (upload_id, workspace_id, part, data) values ($1, $2, $3, $4)`,
			upload, workspace, part, data)
		if err != nil {
			return fmt.Errorf("insert part %d of upload: %w", part, err)
		}
		_, err = tx.Exec(ctx, `update ingest_uploads set size = size + $2 where id = $1`, upload, len(data))
		if err != nil {
			return fmt.Errorf("count part %d of upload: %w", part, err)
		}
		return store.CheckUploadQuota(ctx, tx, workspace, int64(len(data)))
	})
}

// DropUpload deletes an upload that no job has claimed; one that a job has is left to the job.
func (s *Store) DropUpload(ctx context.Context, workspace, id uuid.UUID) error {
	return s.db.InWorkspace(store.WithoutAudit(ctx), workspace, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from ingest_uploads where id = $1 and not claimed`, id); err != nil {
			return fmt.Errorf("drop upload: %w", err)
		}
		return nil
	})
}

// UploadSize is the bytes of an upload, or store.ErrNotFound when it is gone.
func (s *Store) UploadSize(ctx context.Context, workspace, id uuid.UUID) (size int64, err error) {
	if err = s.readUpload(ctx, workspace, id, &size, `select size from ingest_uploads where id = $1`); err != nil {
		return 0, fmt.Errorf("read the size of upload %s: %w", id, err)
	}
	return size, nil
}

// CopyUpload writes the content of an upload, part by part, or returns store.ErrNotFound when it is gone.
func (s *Store) CopyUpload(ctx context.Context, workspace, id uuid.UUID, to io.Writer) error {
	for part := 0; ; part++ {
		var data []byte
		if err := s.readUpload(ctx, workspace, id, &data, `
			select p.data from ingest_uploads u
			  left join ingest_upload_parts p on p.upload_id = u.id and p.part = $2
			 where u.id = $1`, part); err != nil {
			return fmt.Errorf("read part %d of upload %s: %w", part, id, err)
		}
		if data == nil {
			return nil
		}
		if _, err := to.Write(data); err != nil {
			return fmt.Errorf("copy part %d of upload: %w", part, err)
		}
	}
}

// readUpload reads a column of an upload in one round trip: a worker whose processor is busy with documents could keep the
// transaction of a part waiting for longer than the server lets it.
func (s *Store) readUpload(ctx context.Context, workspace, id uuid.UUID, into any, sql string, args ...any) error {
	found := false
	err := s.db.PipelineInWorkspace(ctx, workspace, func(batch *pgx.Batch) {
		batch.Queue(sql, append([]any{id}, args...)...).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{into}, func() error { found = true; return nil })
			return err
		})
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return err
}

// ForgetUploads deletes uploads that no job claimed within an hour: their request was given up.
func (s *Store) ForgetUploads(ctx context.Context) (deleted int64, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		tag, err := tx.Exec(ctx, `
			delete from ingest_uploads where not claimed and created_at < clock_timestamp() - interval '1 hour'`)
		if err != nil {
			return fmt.Errorf("forget uploads: %w", err)
		}
		deleted = tag.RowsAffected()
		return nil
	})
	return deleted, err
}
