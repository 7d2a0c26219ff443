package vector

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
)

// checkScope refuses a call that names no workspace: it would be everybody's.
func checkScope(part string, scope knowledge.Scope) error {
	switch {
	case scope.Workspace == uuid.Nil:
		return &knowledge.Fault{Kind: knowledge.FaultRefused, Part: part, Err: errors.New("no workspace is named")}
	case scope.Collection.Name == "" || scope.Collection.Dimensions < 1:
		return &knowledge.Fault{Kind: knowledge.FaultRefused, Part: part, Err: errors.New("no collection is named")}
	}
	return nil
}

// checkPoints refuses all points when one of them does not fit.
func checkPoints(part string, scope knowledge.Scope, points []knowledge.Point) error {
	if err := checkScope(part, scope); err != nil {
		return err
	}
	for _, p := range points {
		if len(p.Vector) != scope.Collection.Dimensions {
			return dimensionsFault(part, scope.Collection.Name, scope.Collection.Dimensions, len(p.Vector))
		}
		if p.Chunk == uuid.Nil || p.Document == uuid.Nil {
			return &knowledge.Fault{Kind: knowledge.FaultRefused, Part: part, Err: errors.New("a point without chunk or document")}
		}
		for _, x := range p.Vector {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return &knowledge.Fault{
					Kind: knowledge.FaultRefused, Part: part, Err: fmt.Errorf("the vector of chunk %s is not finite", p.Chunk),
				}
			}
		}
	}
	return nil
}

func dimensionsFault(part, collection string, want, got int) *knowledge.Fault {
	return &knowledge.Fault{
		Kind: knowledge.FaultDimensions, Part: part,
		Err: fmt.Errorf("collection %s has %d dimensions, not %d", collection, want, got),
	}
}
