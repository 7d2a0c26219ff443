package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
)

// Named is what a tune or walk-forward names and must not lose before it is inserted.
type Named struct {
	Script   *sweep.Script // nil: a built-in strategy
	Intrabar string        // id of the dataset of bars inside its bars, or ""
	Datasets []uuid.UUID
	// Names are those by which the first of the datasets were found in memory: ErrMoved where one means another dataset
	// by now. SubmitWork looks, Hold does not.
	Names []DatasetName
}

// DatasetName is how a request names a dataset other than by its id.
type DatasetName struct {
	Text    string // "": it is named by its id
	Series  string // of NAME@N
	Version int
}

// ErrMoved says that a name means another dataset than the one that was found by it.
var ErrMoved = errors.New("a name means another dataset by now")

// columns are the names beside so many datasets, for open_submission; nil: there are none.
func (n Named) columns(sets int) (names, series []*string, versions []*int) {
	if len(n.Names) == 0 {
		return nil, nil, nil
	}
	names, series, versions = make([]*string, sets), make([]*string, sets), make([]*int, sets)
	for i := range n.Names {
		if name := &n.Names[i]; name.Text != "" {
			names[i], series[i], versions[i] = &name.Text, &name.Series, &name.Version
		}
	}
	return names, series, versions
}

// NamedBy is what a specification and its datasets name.
func NamedBy(spec *sweep.Spec, datasets ...uuid.UUID) Named {
	return Named{Script: spec.Script, Intrabar: spec.IntrabarDataset, Datasets: datasets}
}

// Hold keeps all of it until the transaction ends; its errors are those of HoldScript and HoldDatasets.
func (n Named) Hold(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) error {
	batch := &pgx.Batch{}
	held := n.queue(batch, workspace)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("hold script and datasets: %w", err)
	}
	return held()
}

// queue is Hold in a batch; held is its error when the batch has run.
func (n Named) queue(batch *pgx.Batch, workspace uuid.UUID) (held func() error) {
	script := queueHoldScript(batch, workspace, n.Script)
	datasets := queueHoldDatasets(batch, workspace, n.Intrabar, n.Datasets...)
	return func() error {
		if err := script(); err != nil {
			return err
		}
		return datasets()
	}
}

// datasets are all that it names.
func (n Named) datasets() []uuid.UUID { return withIntrabar(n.Datasets, n.Intrabar) }

func withIntrabar(ids []uuid.UUID, intrabar string) []uuid.UUID {
	if id, err := uuid.Parse(intrabar); err == nil {
		return append(ids[:len(ids):len(ids)], id)
	}
	return ids
}

// DatasetGoneError is ErrNotFound of a dataset that was deleted while work that names it was submitted.
type DatasetGoneError struct{}

// Error implements error.
func (*DatasetGoneError) Error() string { return "a dataset that it names: " + ErrNotFound.Error() }

// Is says that it is ErrNotFound.
func (*DatasetGoneError) Is(target error) bool { return target == ErrNotFound }

// HoldDatasets keeps the datasets that new work names until the transaction ends, so that they are not deleted between
// the check of a request and the insert of its work: what deletes one waits for the transaction and then sees what
// it inserted. intrabar is the id of one more, or "". The error is a *DatasetGoneError when one was deleted before.
func HoldDatasets(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, intrabar string, ids ...uuid.UUID) error {
	batch := &pgx.Batch{}
	held := queueHoldDatasets(batch, workspace, intrabar, ids...)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("hold datasets: %w", err)
	}
	return held()
}

// queueHoldDatasets is HoldDatasets in a batch; held is its error when the batch has run.
func queueHoldDatasets(batch *pgx.Batch, workspace uuid.UUID, intrabar string, ids ...uuid.UUID) (held func() error) {
	ids = withIntrabar(ids, intrabar)
	var gone int
	batch.Queue(`
		with held as materialized (select id from datasets where workspace_id = $1 and id = any($2) order by id for key share)
		select count(distinct named) from unnest($2::uuid[]) named where named not in (select id from held)`, workspace, ids).
		QueryRow(func(row pgx.Row) error { return row.Scan(&gone) })
	return func() error {
		if gone > 0 {
			return &DatasetGoneError{}
		}
		return nil
	}
}

// HoldDatasetsOf is HoldDatasets of those that tunes and walk-forwards name which are taken up again, before anything of
// these is locked: what deletes a dataset holds it first too. One that is gone has taken its work with it.
func HoldDatasetsOf(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, work []uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		select from datasets
		 where workspace_id = $1
		   and (id in (select dataset_id from tunes where id = any($2) union all select dataset_id from tune_datasets where tune_id = any($2)
		               union all select dataset_id from wfo_runs where id = any($2) union all select dataset_id from wfo_datasets where wfo_id = any($2))
		        or id::text in (select spec ->> 'intrabar_dataset' from tunes where id = any($2) and spec ->> 'intrabar_dataset' <> ''
		                        union all select spec ->> 'intrabar_dataset' from wfo_runs where id = any($2) and spec ->> 'intrabar_dataset' <> ''))
		 order by id for key share`, workspace, work)
	if err != nil {
		return fmt.Errorf("hold the datasets of what is taken up again: %w", err)
	}
	return nil
}
