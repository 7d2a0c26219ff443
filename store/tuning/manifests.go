package tuning

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/market"
)

// manifest makes the manifest of a tune that found parts of these sums.
func (s *Store) manifest(ctx context.Context, tx pgx.Tx, tune *Tune, sums map[string]string) (body string, sum []byte, err error) {
	ids := []uuid.UUID{tune.DatasetID}
	if len(tune.Spec.Datasets) > 0 {
		if ids, err = datasetsOf(ctx, tx, tune.ID); err != nil {
			return "", nil, err
		}
	}
	datasets, err := market.Described(ctx, tx, tune.WorkspaceID, ids)
	if err != nil {
		return "", nil, err
	}
	inside, err := market.DescribedIntrabar(ctx, tx, tune.WorkspaceID, tune.Spec.IntrabarDataset)
	if err != nil {
		return "", nil, err
	}
	return s.seal(tune, sums, datasets, inside)
}

// manifestOutside is manifest in a transaction of its own, of one round trip where one dataset is all there is to look up.
func (s *Store) manifestOutside(ctx context.Context, tune *Tune, sums map[string]string) (body string, sum []byte, err error) {
	if len(tune.Spec.Datasets) > 0 || tune.Spec.IntrabarDataset != "" {
		err = s.db.InWorkspace(ctx, tune.WorkspaceID, func(tx *store.Tx) error {
			body, sum, err = s.manifest(ctx, tx, tune, sums)
			return err
		})
		return body, sum, err
	}
	var described func() ([]manifest.Dataset, error)
	err = s.db.PipelineInWorkspace(ctx, tune.WorkspaceID, func(batch *pgx.Batch) {
		described = market.QueueDescribed(batch, tune.WorkspaceID, []uuid.UUID{tune.DatasetID})
	})
	if err != nil {
		return "", nil, fmt.Errorf("describe the dataset of tune %s: %w", tune.ID, err)
	}
	datasets, err := described()
	if err != nil {
		return "", nil, err
	}
	return s.seal(tune, sums, datasets, nil)
}

// seal completes the manifest of a tune over these datasets.
func (s *Store) seal(tune *Tune, sums map[string]string, datasets []manifest.Dataset, inside *manifest.Dataset) (body string, sum []byte, err error) {
	spec, err := json.Marshal(tune.Spec)
	if err != nil {
		return "", nil, fmt.Errorf("encode spec: %w", err)
	}
	m := &manifest.Manifest{
		Kind: manifest.Tune, ID: tune.ID.String(), Stamp: tune.Stamp, Spec: spec, Leaders: tune.Leaders,
		Seed: seedOf(tune.Spec), Datasets: datasets, Intrabar: inside, Script: tune.Spec.Script,
	}
	return store.SealManifest(m, sums, s.db.Version())
}

func seedOf(spec sweep.Spec) uint64 {
	spec.Normalize()
	return *spec.Seed
}

// Manifest reads the manifest of a tune and its hash, or store.ErrNotFound: it is written when the tune
// completes, and tunes from before there were manifests have none.
func (s *Store) Manifest(ctx context.Context, workspace, id uuid.UUID) (body, sum string, err error) {
	return s.db.ReadManifest(ctx, workspace, "tunes", id)
}

// DatasetIDs are the ids of the datasets that a tune runs over, in order.
func (s *Store) DatasetIDs(ctx context.Context, tune *Tune) ([]uuid.UUID, error) {
	if len(tune.Spec.Datasets) == 0 {
		return []uuid.UUID{tune.DatasetID}, nil
	}
	return s.tuneDatasets(ctx, tune)
}

// Parts reads back everything that a completed tune found, without its trials and their ranking when retention has
// dropped them.
func (s *Store) Parts(ctx context.Context, tune *Tune) (manifest.Parts, error) {
	entries, err := s.LeaderboardOf(ctx, tune.WorkspaceID, tune.ID, tune.Leaders)
	if err != nil {
		return nil, err
	}
	if tune.TrialsDroppedAt != nil {
		return manifest.StoredSummary(tune.Outcome, tune.Regime, entries)
	}
	var ranking []int32
	err = s.db.InWorkspace(ctx, tune.WorkspaceID, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `select ranking from tunes where id = $1`, tune.ID).Scan(&ranking)
	})
	if err != nil {
		return nil, fmt.Errorf("read ranking of tune %s: %w", tune.ID, err)
	}
	const shardsAtOnce = 16
	table := sweep.NewTable(tune.Spec.ParamNames())
	for table.Len() < tune.Trials {
		shards, err := s.TrialShards(ctx, tune.WorkspaceID, tune.ID, table.Len(), shardsAtOnce)
		if err != nil {
			return nil, err
		}
		for _, sh := range shards {
			if err := table.Add(sh.Shard, sh.Columns); err != nil {
				return nil, err
			}
		}
		if len(shards) == 0 {
			return nil, fmt.Errorf("tune %s has %d trials of %d: %w", tune.ID, table.Len(), tune.Trials, store.ErrNotFound)
		}
	}
	return manifest.StoredTune(tune.Outcome, tune.Regime, ranking, entries, table)
}
