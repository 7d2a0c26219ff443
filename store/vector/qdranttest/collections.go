package qdranttest

import (
	"context"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type collections struct {
	qdrant.UnimplementedCollectionsServer
	all *Server
}

func (c *collections) Create(_ context.Context, req *qdrant.CreateCollection) (*qdrant.CollectionOperationResponse, error) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	params := req.GetVectorsConfig().GetParams()
	switch {
	case params.GetSize() == 0 || params.GetDistance() != qdrant.Distance_Cosine:
		return nil, status.Error(codes.InvalidArgument, "qdranttest: one unnamed cosine vector only")
	case c.all.collections[req.GetCollectionName()] != nil:
		return nil, status.Errorf(codes.AlreadyExists, "Wrong input: Collection `%s` already exists!", req.GetCollectionName())
	}
	c.all.collections[req.GetCollectionName()] = newCollection(params)
	return &qdrant.CollectionOperationResponse{Result: true}, nil
}

func (c *collections) Get(_ context.Context, req *qdrant.GetCollectionInfoRequest) (*qdrant.GetCollectionInfoResponse, error) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	found, err := c.all.collection(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	vectors := qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{"text": {Size: 4, Distance: qdrant.Distance_Cosine}})
	if found.params != nil {
		vectors = qdrant.NewVectorsConfig(found.params)
	}
	schema := map[string]*qdrant.PayloadSchemaInfo{}
	for field, params := range found.indexed {
		schema[field] = &qdrant.PayloadSchemaInfo{DataType: qdrant.PayloadSchemaType_Keyword, Params: params}
	}
	return &qdrant.GetCollectionInfoResponse{Result: &qdrant.CollectionInfo{
		PayloadSchema: schema,
		Status:        found.status, OptimizerStatus: &qdrant.OptimizerStatus{Ok: found.failure == "", Error: found.failure},
		SegmentsCount: 1, PointsCount: qdrant.PtrOf(uint64(len(found.points))),
		Config: &qdrant.CollectionConfig{Params: &qdrant.CollectionParams{VectorsConfig: vectors}},
	}}, nil
}

func (c *collections) List(context.Context, *qdrant.ListCollectionsRequest) (*qdrant.ListCollectionsResponse, error) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	names := &qdrant.ListCollectionsResponse{}
	for name := range c.all.collections {
		names.Collections = append(names.Collections, &qdrant.CollectionDescription{Name: name})
	}
	return names, nil
}
