package vector

import (
	"context"

	"github.com/google/uuid"
	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"millrace/jobs/knowledge"
)

// Forget implements knowledge.VectorIndex. The server may have collections of others: those that index no workspace are
// left alone.
func (q *Qdrant) Forget(ctx context.Context, workspace uuid.UUID) error {
	names, err := q.client.ListCollections(ctx)
	if err != nil {
		return q.fault("list collections", err)
	}
	for _, name := range names {
		info, err := q.client.GetCollectionInfo(ctx, name)
		if status.Code(rootError(err)) == codes.NotFound {
			continue // it was deleted meanwhile
		}
		if err != nil {
			return q.fault("read collection", err)
		}
		if info.GetPayloadSchema()[fieldWorkspace] == nil {
			continue
		}
		err = q.DeleteWorkspace(ctx, knowledge.Scope{Workspace: workspace, Collection: knowledge.Collection{Name: name, Dimensions: size(info)}})
		if err != nil {
			return err
		}
	}
	return nil
}

// size is the dimensions of a collection's vectors.
func size(info *qdrant.CollectionInfo) int {
	return int(info.GetConfig().GetParams().GetVectorsConfig().GetParams().GetSize())
}
