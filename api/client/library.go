package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"

	"millrace/api/types"
)

// File is what is uploaded. Open is called for each attempt and returns Size bytes; it is read as it
// goes out, so a file is never held in memory.
type File struct {
	Name string // as the form has it
	Size int64  // bytes
	Open func() (io.ReadCloser, error)
}

// Bytes is a file whose content is in memory.
func Bytes(name string, content []byte) File {
	return File{Name: name, Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
}

// UploadDataset stores bars, CSV or Parquet; fields are name, symbol and, of the rest of the form, what is
// to be stated. The content decides what is stored, so it needs no idempotency key.
func (c *Client) UploadDataset(ctx context.Context, file File, fields map[string]string) (*types.Dataset, error) {
	return upload[types.Dataset](ctx, c, "/datasets", "", file, fields)
}

// InspectDataset says how a file of bars would be read, without storing it.
func (c *Client) InspectDataset(ctx context.Context, file File, fields map[string]string) (*types.Inspection, error) {
	return upload[types.Inspection](ctx, c, "/datasets/inspect", "", file, fields)
}

// Datasets lists the datasets, newest first; query may hold cursor and limit.
func (c *Client) Datasets(ctx context.Context, query url.Values) (*types.List[types.Dataset], error) {
	return get[types.List[types.Dataset]](ctx, c, "/datasets", query)
}

// Dataset reads a dataset by id, by name for its newest version, or NAME@N.
func (c *Client) Dataset(ctx context.Context, name string) (*types.Dataset, error) {
	return get[types.Dataset](ctx, c, "/datasets/"+url.PathEscape(name), nil)
}

// ExtendDataset appends bars to a dataset, or writes all of them again when fields has rewrite=true. The content
// decides what is stored, so it needs no idempotency key.
func (c *Client) ExtendDataset(ctx context.Context, name string, file File, fields map[string]string) (*types.ExtendedDataset, error) {
	return upload[types.ExtendedDataset](ctx, c, "/datasets/"+url.PathEscape(name)+"/bars", "", file, fields)
}

// DescribeDataset describes a dataset's instrument otherwise, as a new version.
func (c *Client) DescribeDataset(ctx context.Context, name string, change types.DatasetChange) (*types.Dataset, error) {
	return send[types.Dataset](ctx, c, call{method: http.MethodPatch, path: "/datasets/" + url.PathEscape(name)}, change)
}

// DatasetVersions lists the versions of a dataset, newest first; query may hold cursor and limit.
func (c *Client) DatasetVersions(ctx context.Context, name string, query url.Values) (*types.List[types.DatasetVersion], error) {
	return get[types.List[types.DatasetVersion]](ctx, c, "/datasets/"+url.PathEscape(name)+"/versions", query)
}

// AddStrategy stores a Pine script as a strategy. key is the idempotency key; "" makes one.
func (c *Client) AddStrategy(ctx context.Context, key string, body types.StrategyRequest) (*types.Strategy, error) {
	return create[types.Strategy](ctx, c, "/strategies", key, body)
}

// Ingest has a source ingested that is fetched from its address or sent as text. key is the
// idempotency key; "" makes one.
func (c *Client) Ingest(ctx context.Context, key string, body types.IngestRequest) (*types.Ingest, error) {
	return ingested(create[types.Ingest](ctx, c, "/ingest", key, body))
}

// IngestFile has a file ingested; fields have the names of types.IngestRequest. key is the
// idempotency key; "" makes one.
func (c *Client) IngestFile(ctx context.Context, key string, file File, fields map[string]string) (*types.Ingest, error) {
	if key == "" {
		key = uuid.NewString()
	}
	return ingested(upload[types.Ingest](ctx, c, "/ingest", key, file, fields))
}

// RetryIngest has a source fetched and ingested again whose ingestion failed or was cancelled. key is the idempotency key; "" makes
// one.
func (c *Client) RetryIngest(ctx context.Context, id, key string) (*types.Ingest, error) {
	return create[types.Ingest](ctx, c, "/ingest/jobs/"+url.PathEscape(id)+"/retry", key, nil)
}

// CancelIngest cancels an ingestion, once, however often it is asked.
func (c *Client) CancelIngest(ctx context.Context, id string) (*types.Ingest, error) {
	return ingested(send[types.Ingest](ctx, c, call{method: http.MethodPost, path: "/ingest/jobs/" + url.PathEscape(id) + "/cancel"}, nil))
}

// IngestJob reads an ingestion.
func (c *Client) IngestJob(ctx context.Context, id string) (*types.Ingest, error) {
	return ingested(get[types.Ingest](ctx, c, "/ingest/jobs/"+url.PathEscape(id), nil))
}

func ingested(in *types.Ingest, err error) (*types.Ingest, error) {
	if err == nil && in.JobID == "" {
		return nil, errors.New("the server at this address answered with something that is not an ingestion")
	}
	return in, err
}

// Query asks the knowledge base. A question changes nothing, so it may be asked again.
func (c *Client) Query(ctx context.Context, body types.QueryRequest) (*types.Query, error) {
	return send[types.Query](ctx, c, call{method: http.MethodPost, path: "/query"}, body)
}

// upload sends a file as a form.
func upload[T any](ctx context.Context, c *Client, path, key string, file File, fields map[string]string) (*T, error) {
	var frame bytes.Buffer // the form but for the file's content
	form := multipart.NewWriter(&frame)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := form.WriteField(name, fields[name]); err != nil {
			return nil, fmt.Errorf("encode upload: %w", err)
		}
	}
	_, err := form.CreateFormFile("file", file.Name)
	head := frame.Len()
	if err = errors.Join(err, form.Close()); err != nil {
		return nil, fmt.Errorf("encode upload: %w", err)
	}
	req := call{
		method: http.MethodPost, path: path, key: key, contentType: form.FormDataContentType(), length: int64(frame.Len()) + file.Size,
		body: func() (io.ReadCloser, error) {
			content, err := file.Open()
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{io.MultiReader(bytes.NewReader(frame.Bytes()[:head]), content, bytes.NewReader(frame.Bytes()[head:])), content}, nil
		},
	}
	var answer T
	if err := c.do(ctx, req, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}
