package vector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"millrace/jobs/knowledge"
)

const (
	qdrantPart = "vector index qdrant"
	// upsertBatch keeps a request of the largest models' vectors well below gRPC's limits.
	upsertBatch = 256
)

// The payload of a point.
const (
	fieldWorkspace = "workspace_id"
	fieldDocument  = "document_id"
	fieldSource    = "source_type"
	fieldRevision  = "revision"
)

// Qdrant keeps vectors in a Qdrant server, over gRPC. Workspaces share a collection, each in a part
// of its own by Qdrant's multitenancy: the graph is built per workspace, and no request of ours
// goes without the workspace's filter.
type Qdrant struct {
	client  *qdrant.Client
	mu      sync.Mutex
	ensured map[knowledge.Collection]bool
}

// NewQdrant makes an index on the server at the address, as in http://host:6334 or https://…, which
// uses TLS. It does not wait for the server.
func NewQdrant(address, apiKey string) (*Qdrant, error) {
	config, err := qdrantConfig(address)
	if err != nil {
		return nil, err
	}
	config.APIKey, config.SkipCompatibilityCheck = apiKey, true
	config.KeepAliveTime, config.KeepAliveTimeout = keepAliveSeconds, keepAliveTimeoutSeconds
	config.GrpcOptions = []grpc.DialOption{reconnect()}
	client, err := qdrant.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("qdrant client: %w", err)
	}
	return &Qdrant{client: client, ensured: map[knowledge.Collection]bool{}}, nil
}

// A connection is probed when it is idle for keepAliveSeconds, the least that gRPC allows, and given up
// when the server acknowledges nothing for keepAliveTimeoutSeconds, an idle one or not.
const (
	keepAliveSeconds        = 10
	keepAliveTimeoutSeconds = 2
)

// reconnect makes the client try to connect at least about every second, and leave an attempt that hangs
// after two. gRPC's own backoff grows to two minutes: after an outage, queries would do without vectors
// for as long as the outage lasted.
func reconnect() grpc.DialOption {
	return grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: 2 * time.Second,
	})
}

func qdrantConfig(address string) (*qdrant.Config, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("want an address such as http://localhost:6334")
	}
	config := &qdrant.Config{Host: u.Hostname(), Port: 6334, UseTLS: u.Scheme == "https"}
	if text := u.Port(); text != "" {
		if config.Port, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("port %q: %w", text, err)
		}
	}
	if config.Port == 6333 {
		return nil, errors.New("6333 is Qdrant's HTTP port; name its gRPC port, usually 6334")
	}
	return config, nil
}

// Close closes the connections.
func (q *Qdrant) Close() error { return q.client.Close() }

// Ensure implements knowledge.VectorIndex.
func (q *Qdrant) Ensure(ctx context.Context, c knowledge.Collection) error {
	q.mu.Lock()
	done := q.ensured[c]
	q.mu.Unlock()
	if done {
		return nil
	}
	err := q.client.CreateCollection(ctx, &qdrant.CreateCollection{
		CollectionName: c.Name,
		VectorsConfig: qdrant.NewVectorsConfig(&qdrant.VectorParams{
			Size: uint64(c.Dimensions), Distance: qdrant.Distance_Cosine,
		}),
		// No graph over everybody's vectors, one for each workspace.
		HnswConfig: &qdrant.HnswConfigDiff{M: qdrant.PtrOf(uint64(0)), PayloadM: qdrant.PtrOf(uint64(16))},
	})
	switch status.Code(rootError(err)) {
	case codes.OK, codes.AlreadyExists, codes.InvalidArgument: // servers before 1.9 say the last for the second
	default:
		return q.fault("ensure collection", err)
	}
	if err := q.checkCollection(ctx, c); err != nil {
		return err
	}
	for field, params := range map[string]*qdrant.KeywordIndexParams{
		fieldWorkspace: {IsTenant: qdrant.PtrOf(true)}, fieldDocument: {}, fieldSource: {},
	} {
		_, err := q.client.CreateFieldIndex(ctx, &qdrant.CreateFieldIndexCollection{
			CollectionName: c.Name, Wait: qdrant.PtrOf(true), FieldName: field,
			FieldType:        qdrant.FieldType_FieldTypeKeyword.Enum(),
			FieldIndexParams: qdrant.NewPayloadIndexParamsKeyword(params),
		})
		if err != nil {
			return q.fault("index field "+field, err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ensured[c] = true
	return nil
}

// checkCollection refuses a collection of other dimensions or another distance than those wanted.
func (q *Qdrant) checkCollection(ctx context.Context, c knowledge.Collection) error {
	info, err := q.client.GetCollectionInfo(ctx, c.Name)
	if err != nil {
		return q.fault("read collection", err)
	}
	if unfit := checkParams(c, info.GetConfig().GetParams()); unfit != nil {
		return unfit
	}
	return nil
}

// checkParams is nil for a collection that is made as Ensure makes it.
func checkParams(c knowledge.Collection, params *qdrant.CollectionParams) *knowledge.Fault {
	vectors := params.GetVectorsConfig().GetParams()
	other := func(format string, args ...any) *knowledge.Fault {
		return &knowledge.Fault{Kind: knowledge.FaultCollection, Part: qdrantPart, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case vectors == nil:
		return other("collection %s has named vectors, not one vector of %d dimensions for each point", c.Name, c.Dimensions)
	case vectors.GetSize() != uint64(c.Dimensions):
		return dimensionsFault(qdrantPart, c.Name, int(vectors.GetSize()), c.Dimensions)
	case vectors.GetDistance() != qdrant.Distance_Cosine:
		return other("collection %s compares vectors by %s, not by Cosine", c.Name, vectors.GetDistance())
	}
	return nil
}

// Upsert implements knowledge.VectorIndex.
func (q *Qdrant) Upsert(ctx context.Context, scope knowledge.Scope, points []knowledge.Point) error {
	if err := checkPoints(qdrantPart, scope, points); err != nil {
		return err
	}
	for batch := range slices.Chunk(points, upsertBatch) {
		structs := make([]*qdrant.PointStruct, len(batch))
		for i, p := range batch {
			structs[i] = &qdrant.PointStruct{
				Id:      qdrant.NewIDUUID(p.Chunk.String()),
				Vectors: qdrant.NewVectorsDense(p.Vector),
				Payload: map[string]*qdrant.Value{
					fieldWorkspace: qdrant.NewValueString(scope.Workspace.String()),
					fieldDocument:  qdrant.NewValueString(p.Document.String()),
					fieldSource:    qdrant.NewValueString(string(p.SourceType)),
					fieldRevision:  qdrant.NewValueInt(p.Revision),
				},
			}
		}
		_, err := q.client.Upsert(ctx, &qdrant.UpsertPoints{
			CollectionName: scope.Collection.Name, Wait: qdrant.PtrOf(true), Points: structs,
		})
		if status.Code(rootError(err)) == codes.InvalidArgument {
			// It may have been made again, for other vectors, since it was ensured.
			if unfit := q.checkCollection(ctx, scope.Collection); unfit != nil {
				return unfit
			}
		}
		if err != nil {
			return q.fault("upsert", err)
		}
	}
	return nil
}

// DeleteRevisions implements knowledge.VectorIndex.
func (q *Qdrant) DeleteRevisions(ctx context.Context, scope knowledge.Scope, document uuid.UUID, below int64) error {
	if err := checkScope(qdrantPart, scope); err != nil {
		return err
	}
	filter := tenant(scope, qdrant.NewMatchKeyword(fieldDocument, document.String()))
	if below != knowledge.AllRevisions {
		filter.Must = append(filter.Must, qdrant.NewRange(fieldRevision, &qdrant.Range{Lt: qdrant.PtrOf(float64(below))}))
	}
	return q.delete(ctx, scope, filter)
}

// DeleteWorkspace implements knowledge.VectorIndex.
func (q *Qdrant) DeleteWorkspace(ctx context.Context, scope knowledge.Scope) error {
	if err := checkScope(qdrantPart, scope); err != nil {
		return err
	}
	return q.delete(ctx, scope, tenant(scope))
}

func (q *Qdrant) delete(ctx context.Context, scope knowledge.Scope, filter *qdrant.Filter) error {
	_, err := q.client.Delete(ctx, &qdrant.DeletePoints{
		CollectionName: scope.Collection.Name, Wait: qdrant.PtrOf(true), Points: qdrant.NewPointsSelectorFilter(filter),
	})
	return q.fault("delete", err)
}

// tenant is the filter without which no request goes out.
func tenant(scope knowledge.Scope, also ...*qdrant.Condition) *qdrant.Filter {
	return &qdrant.Filter{
		Must: append([]*qdrant.Condition{qdrant.NewMatchKeyword(fieldWorkspace, scope.Workspace.String())}, also...),
	}
}

// Search implements knowledge.VectorIndex.
func (q *Qdrant) Search(ctx context.Context, scope knowledge.Scope, vector []float32, filter knowledge.Filter, limit int) ([]knowledge.Hit, error) {
	if err := checkScope(qdrantPart, scope); err != nil {
		return nil, err
	}
	if len(vector) != scope.Collection.Dimensions {
		return nil, dimensionsFault(qdrantPart, scope.Collection.Name, scope.Collection.Dimensions, len(vector))
	}
	if limit < 1 {
		return nil, nil
	}
	where := tenant(scope)
	if len(filter.SourceTypes) > 0 {
		where.Must = append(where.Must, qdrant.NewMatchKeywords(fieldSource, texts(filter.SourceTypes)...))
	}
	if len(filter.Documents) > 0 {
		names := make([]string, len(filter.Documents))
		for i, id := range filter.Documents {
			names[i] = id.String()
		}
		where.Must = append(where.Must, qdrant.NewMatchKeywords(fieldDocument, names...))
	}
	found, err := q.client.Query(ctx, &qdrant.QueryPoints{
		CollectionName: scope.Collection.Name, Query: qdrant.NewQueryDense(vector), Filter: where,
		Limit: qdrant.PtrOf(uint64(limit)), WithPayload: qdrant.NewWithPayloadInclude(fieldWorkspace, fieldDocument),
	})
	if status.Code(rootError(err)) == codes.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, q.fault("search", err)
	}
	return readHits(scope, found)
}

// readHits believes nothing of the answer: a point of another workspace is a failure, not a hit.
func readHits(scope knowledge.Scope, found []*qdrant.ScoredPoint) ([]knowledge.Hit, error) {
	hits := make([]knowledge.Hit, len(found))
	for i, point := range found {
		chunk, chunkErr := uuid.Parse(point.GetId().GetUuid())
		document, documentErr := uuid.Parse(point.GetPayload()[fieldDocument].GetStringValue())
		workspace := point.GetPayload()[fieldWorkspace].GetStringValue()
		score := float64(point.GetScore())
		err := errors.Join(chunkErr, documentErr)
		switch {
		case err != nil:
			err = fmt.Errorf("a point that is not ours: %w", err)
		case workspace != scope.Workspace.String():
			err = errors.New("a point of another workspace")
		case math.IsNaN(score) || math.IsInf(score, 0):
			err = fmt.Errorf("a score of %v", score)
		}
		if err != nil {
			return nil, &knowledge.Fault{Kind: knowledge.FaultProvider, Part: qdrantPart, Err: err}
		}
		hits[i] = knowledge.Hit{Chunk: chunk, Document: document, Score: score}
	}
	slices.SortStableFunc(hits, func(a, b knowledge.Hit) int {
		if order := cmp.Compare(b.Score, a.Score); order != 0 {
			return order
		}
		return slices.Compare(a.Chunk[:], b.Chunk[:])
	})
	return hits, nil
}

func texts[S ~string](values []S) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = string(value)
	}
	return all
}

// Count implements knowledge.VectorIndex.
func (q *Qdrant) Count(ctx context.Context, scope knowledge.Scope) (int64, error) {
	if err := checkScope(qdrantPart, scope); err != nil {
		return 0, err
	}
	n, err := q.client.Count(ctx, &qdrant.CountPoints{
		CollectionName: scope.Collection.Name, Filter: tenant(scope), Exact: qdrant.PtrOf(true),
	})
	if status.Code(rootError(err)) == codes.NotFound {
		return 0, nil
	}
	return int64(n), q.fault("count", err)
}

// Info implements knowledge.VectorIndex.
func (q *Qdrant) Info(ctx context.Context, c knowledge.Collection) (knowledge.CollectionInfo, error) {
	info, err := q.client.GetCollectionInfo(ctx, c.Name)
	if status.Code(rootError(err)) == codes.NotFound {
		return knowledge.CollectionInfo{}, nil
	}
	if err != nil {
		return knowledge.CollectionInfo{}, q.fault("info", err)
	}
	names := map[qdrant.CollectionStatus]string{
		qdrant.CollectionStatus_Green: "green", qdrant.CollectionStatus_Yellow: "yellow",
		qdrant.CollectionStatus_Red: "red", qdrant.CollectionStatus_Grey: "grey",
	}
	name, ok := names[info.GetStatus()]
	if !ok {
		name = "unknown"
	}
	found := knowledge.CollectionInfo{
		Exists: true, Status: name, Vectors: int64(info.GetPointsCount()), Segments: int(info.GetSegmentsCount()),
	}
	if unfit := checkParams(c, info.GetConfig().GetParams()); unfit != nil {
		found.Trouble = unfit.Err.Error()
	} else if optimizer := info.GetOptimizerStatus(); optimizer != nil && !optimizer.GetOk() {
		found.Trouble = fmt.Sprintf("the optimizer of collection %s fails: %s", c.Name, optimizer.GetError())
	}
	return found, nil
}

// rootError is the error of gRPC itself: the client wraps it in a type that status does not see
// through for every code.
func rootError(err error) error {
	for next := err; next != nil; next = errors.Unwrap(next) {
		if _, ok := next.(interface{ GRPCStatus() *status.Status }); ok {
			return next
		}
	}
	return err
}

// fault maps gRPC's codes to the caller's errors; nil for nil.
func (q *Qdrant) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	f := &knowledge.Fault{Kind: knowledge.FaultProvider, Part: qdrantPart, Err: fmt.Errorf("%s: %w", what, err)}
	var limited *qdrant.QdrantResourceExhaustedError
	switch code := status.Code(rootError(err)); {
	case errors.As(err, &limited):
		f.Kind, f.RetryAfter = knowledge.FaultRateLimit, time.Duration(limited.RetryAfterS)*time.Second
	case code == codes.ResourceExhausted:
		f.Kind = knowledge.FaultRateLimit
	case code == codes.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded):
		f.Kind = knowledge.FaultTimeout
	case code == codes.Canceled || errors.Is(err, context.Canceled):
		f.Err = fmt.Errorf("%s: %w", what, context.Canceled)
	case code == codes.Unavailable:
		f.Kind = knowledge.FaultUnreachable
	case code == codes.NotFound:
		f.Kind, f.Err = knowledge.FaultRefused, fmt.Errorf("%s: %w", what, errNoCollection)
		q.mu.Lock()
		clear(q.ensured) // it was dropped behind our back
		q.mu.Unlock()
	case code == codes.InvalidArgument || code == codes.Unauthenticated || code == codes.PermissionDenied || code == codes.Unimplemented:
		f.Kind = knowledge.FaultRefused
	}
	return f
}
