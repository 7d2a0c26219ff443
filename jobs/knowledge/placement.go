package knowledge

import (
	"fmt"
	"strings"
)

// Embedders are those that a process can call. The first is for workspaces that have none yet.
type Embedders []Embedder

// For finds the embedder of a model, or fails with a FaultUnconfigured.
func (all Embedders) For(model Model) (Embedder, error) {
	for _, e := range all {
		if e.Model() == model {
			return e, nil
		}
	}
	return nil, &Fault{
		Kind: FaultUnconfigured, Part: "embedder " + model.Provider,
		Err: fmt.Errorf("this process is not set up for model %s of %d dimensions", model.Name, model.Dimensions),
	}
}

// Placement says which model a workspace's chunks are embedded with and where the vectors are.
type Placement struct {
	Model      Model
	Collection Collection
}

// PlacementOf is where the vectors of a model go.
func PlacementOf(model Model) Placement {
	plain := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}
	name := strings.Map(plain, strings.ToLower(fmt.Sprintf("millrace_%s_%s_%d", model.Provider, model.Name, model.Dimensions)))
	return Placement{Model: model, Collection: Collection{Name: name, Dimensions: model.Dimensions}}
}
