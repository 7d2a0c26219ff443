// Package qdranttest is a Qdrant server in memory, for tests: the service stubs of Qdrant's own
// client, with the semantics that its documentation gives to the calls Millrace makes, and faults
// on demand. It searches exactly. What it does not know it refuses, so that a new call fails here
// instead of passing untested.
package qdranttest

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"millrace/ops/routine"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// ErrGarbage is what a function given to Fail returns for an answer that no client can read.
var ErrGarbage = errors.New("garbage")

// Server is a server that listens on a loopback port until its test ends.
type Server struct {
	URL    string
	APIKey string // when set, calls without it are refused

	mu          sync.Mutex
	fail        func(ctx context.Context, method string) error
	twist       func(*qdrant.ScoredPoint)
	collections map[string]*collection
	listener    net.Listener
	server      *grpc.Server
}

type collection struct {
	params  *qdrant.VectorParams
	status  qdrant.CollectionStatus
	failure string // of the optimizer
	indexed map[string]*qdrant.PayloadIndexParams
	points  map[string]*point
}

type point struct {
	vector  []float32 // of length 1, as Qdrant stores them for cosine
	payload map[string]*qdrant.Value
}

// New starts a server.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{collections: map[string]*collection{}}
	if err := s.listen("127.0.0.1:0"); err != nil {
		t.Fatalf("qdranttest: %v", err)
	}
	s.URL = "http://" + s.listener.Addr().String()
	t.Cleanup(func() { s.Stop() })
	return s
}

func (s *Server) listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.listener = listener
	s.server = grpc.NewServer(grpc.UnaryInterceptor(s.intercept),
		// Qdrant's server puts up with frequent pings; Go's would end the connection.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	qdrant.RegisterCollectionsServer(s.server, &collections{all: s})
	qdrant.RegisterPointsServer(s.server, &points{all: s})
	routine.Go(func() error { return s.server.Serve(listener) }, func(error) {})
	return nil
}

// Stop closes the port and every connection, as a killed server does. What it holds stays.
func (s *Server) Stop() { s.server.Stop() }

// Restart listens on the same port again.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.listen(s.listener.Addr().String()); err != nil {
		t.Fatalf("qdranttest: %v", err)
	}
}

// Fail makes every call ask fail first; its error is the answer. nil ends that.
func (s *Server) Fail(fail func(ctx context.Context, method string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// Twist makes twist change every point of every answer to a query. nil ends that.
func (s *Server) Twist(twist func(*qdrant.ScoredPoint)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.twist = twist
}

// Wipe loses everything, as a server does whose disk was replaced.
func (s *Server) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.collections)
}

// Report makes the info of a collection say a status and, unless it is empty, a failure of the optimizer.
func (s *Server) Report(name string, status qdrant.CollectionStatus, failure string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.collections[name]; ok {
		c.status, c.failure = status, failure
	}
}

// Make makes a collection as someone else might, in the place of one that is there, with the vectors
// given; nil: with named vectors.
func (s *Server) Make(name string, params *qdrant.VectorParams) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collections[name] = newCollection(params)
}

func newCollection(params *qdrant.VectorParams) *collection {
	return &collection{
		params: params, status: qdrant.CollectionStatus_Green,
		indexed: map[string]*qdrant.PayloadIndexParams{}, points: map[string]*point{},
	}
}

// TenantField is the payload field that the collection is partitioned by, "" for none.
func (s *Server) TenantField(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.collections[name]; ok {
		for field, params := range c.indexed {
			if params.GetKeywordIndexParams().GetIsTenant() {
				return field
			}
		}
	}
	return ""
}

func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	fail, key := s.fail, s.APIKey
	s.mu.Unlock()
	if given := metadata.ValueFromIncomingContext(ctx, "api-key"); key != "" && !slices.Contains(given, key) {
		return nil, status.Error(codes.Unauthenticated, "Must provide an API key or an Authorization bearer token")
	}
	if fail != nil {
		switch err := fail(ctx, info.FullMethod); {
		case errors.Is(err, ErrGarbage):
			return &qdrant.IsEmptyCondition{Key: "garbage"}, nil // where each answer has its result
		case err != nil:
			return nil, err
		}
	}
	return handler(ctx, req)
}

// collection needs the lock held.
func (s *Server) collection(name string) (*collection, error) {
	c, ok := s.collections[name]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "Not found: Collection `%s` doesn't exist!", name)
	}
	return c, nil
}

type points struct {
	qdrant.UnimplementedPointsServer
	all *Server
}

func (p *points) CreateFieldIndex(_ context.Context, req *qdrant.CreateFieldIndexCollection) (*qdrant.PointsOperationResponse, error) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	c, err := p.all.collection(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	c.indexed[req.GetFieldName()] = req.GetFieldIndexParams()
	return done(), nil
}

func (p *points) Upsert(_ context.Context, req *qdrant.UpsertPoints) (*qdrant.PointsOperationResponse, error) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	c, err := p.all.collection(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	for _, given := range req.GetPoints() {
		if n := len(given.GetVectors().GetVector().GetDense().GetData()); uint64(n) != c.params.GetSize() {
			return nil, status.Errorf(codes.InvalidArgument, "Wrong input: Vector dimension error: expected dim: %d, got %d", c.params.GetSize(), n)
		}
		if given.GetId().GetUuid() == "" {
			return nil, status.Error(codes.InvalidArgument, "qdranttest: only UUIDs are ids")
		}
	}
	for _, given := range req.GetPoints() {
		vector := slices.Clone(given.GetVectors().GetVector().GetDense().GetData())
		normalize(vector)
		c.points[given.GetId().GetUuid()] = &point{vector: vector, payload: given.GetPayload()}
	}
	return done(), nil
}

func (p *points) Delete(_ context.Context, req *qdrant.DeletePoints) (*qdrant.PointsOperationResponse, error) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	c, err := p.all.collection(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if req.GetPoints().GetFilter() == nil {
		return nil, status.Error(codes.InvalidArgument, "qdranttest: delete by filter only")
	}
	for id, held := range c.points {
		ok, err := passes(held, req.GetPoints().GetFilter())
		if err != nil {
			return nil, err
		}
		if ok {
			delete(c.points, id)
		}
	}
	return done(), nil
}

func (p *points) Count(_ context.Context, req *qdrant.CountPoints) (*qdrant.CountResponse, error) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	c, err := p.all.collection(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if !req.GetExact() {
		return nil, status.Error(codes.Unimplemented, "qdranttest: exact counts only")
	}
	var n uint64
	for _, held := range c.points {
		ok, err := passes(held, req.GetFilter())
		if err != nil {
			return nil, err
		}
		if ok {
			n++
		}
	}
	return &qdrant.CountResponse{Result: &qdrant.CountResult{Count: n}}, nil
}

func (p *points) Query(_ context.Context, req *qdrant.QueryPoints) (*qdrant.QueryResponse, error) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	c, err := p.all.collection(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	query := slices.Clone(req.GetQuery().GetNearest().GetDense().GetData())
	if uint64(len(query)) != c.params.GetSize() {
		return nil, status.Errorf(codes.InvalidArgument, "Wrong input: Vector dimension error: expected dim: %d, got %d", c.params.GetSize(), len(query))
	}
	normalize(query)
	var found []*qdrant.ScoredPoint
	for id, held := range c.points {
		ok, err := passes(held, req.GetFilter())
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, &qdrant.ScoredPoint{
				Id: qdrant.NewIDUUID(id), Score: dot(query, held.vector),
				Payload: pick(held.payload, req.GetWithPayload().GetInclude().GetFields()),
			})
		}
	}
	slices.SortFunc(found, func(a, b *qdrant.ScoredPoint) int { return cmp.Compare(b.GetScore(), a.GetScore()) })
	limit := 10
	if req.Limit != nil {
		limit = int(req.GetLimit())
	}
	found = found[:min(limit, len(found))]
	if p.all.twist != nil {
		for _, hit := range found {
			p.all.twist(hit)
		}
	}
	return &qdrant.QueryResponse{Result: found}, nil
}

func done() *qdrant.PointsOperationResponse {
	return &qdrant.PointsOperationResponse{Result: &qdrant.UpdateResult{Status: qdrant.UpdateStatus_Completed}}
}

func pick(payload map[string]*qdrant.Value, fields []string) map[string]*qdrant.Value {
	picked := map[string]*qdrant.Value{}
	for _, field := range fields {
		if value, ok := payload[field]; ok {
			picked[field] = value
		}
	}
	return picked
}

// passes applies a filter of the kinds that Millrace sends.
func passes(p *point, filter *qdrant.Filter) (bool, error) {
	if len(filter.GetShould()) > 0 || len(filter.GetMustNot()) > 0 || filter.GetMinShould() != nil {
		return false, status.Error(codes.Unimplemented, "qdranttest: must only")
	}
	for _, condition := range filter.GetMust() {
		field := condition.GetField()
		value := p.payload[field.GetKey()]
		switch {
		case field.GetMatch().GetKeyword() != "":
			if value.GetStringValue() != field.GetMatch().GetKeyword() {
				return false, nil
			}
		case field.GetMatch().GetKeywords() != nil:
			if !slices.Contains(field.GetMatch().GetKeywords().GetStrings(), value.GetStringValue()) {
				return false, nil
			}
		case field.GetRange() != nil && field.GetRange().Lt != nil:
			if float64(value.GetIntegerValue()) >= field.GetRange().GetLt() {
				return false, nil
			}
		default:
			return false, status.Errorf(codes.Unimplemented, "qdranttest: condition %v", condition)
		}
	}
	return true, nil
}

func normalize(v []float32) {
	length := float32(math.Sqrt(float64(dot(v, v))))
	if length == 0 {
		return
	}
	for i := range v {
		v[i] /= length
	}
}

func dot(a, b []float32) float32 {
	var sum float32
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
