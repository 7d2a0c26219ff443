package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store/schedules"
)

// MaxItems is the most things that one deletion takes away.
const MaxItems = 20_000

// TooManyError is a deletion, or what a filter found, of more than a limit.
type TooManyError struct{ Limit int }

// Error implements error.
func (e *TooManyError) Error() string { return fmt.Sprintf("more than %d at once", e.Limit) }

// Plan is what a deletion takes away, and what is in its way.
type Plan struct {
	Deletes    map[Kind]int // how many of each kind go: with the dependants
	Dependants []Ref        // what cannot be without what is named
	Active     []Ref        // what of it all has not ended

	named []Ref
	items []found
}

// Refuses reports whether it may not be deleted without its dependants, or while it runs.
func (p *Plan) Refuses() bool { return len(p.Dependants) > 0 || len(p.Active) > 0 }

// found is something that a deletion takes away.
type found struct {
	Ref
	part bool // of what is named, or of a dependant
}

// search collects what goes with something.
type search struct {
	ctx       context.Context
	tx        pgx.Tx
	workspace uuid.UUID
	seen      map[uuid.UUID]bool
	all       []found
}

// plan finds what goes with the things named. They are of one kind; one that the workspace does not have is left out.
func plan(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, kind Kind, ids []uuid.UUID) (*Plan, error) {
	s := &search{ctx: ctx, tx: tx, workspace: workspace, seen: map[uuid.UUID]bool{}}
	named, err := s.read(refsOf(kind)+` and id = any($2)`, ids)
	if err != nil {
		return nil, err
	}
	next := s.add(named, false)
	p := &Plan{Deletes: map[Kind]int{}, named: named}
	for len(next) > 0 {
		byKind := map[Kind][]uuid.UUID{}
		for _, one := range next {
			byKind[one.Kind] = append(byKind[one.Kind], one.ID)
		}
		next = nil
		// Parts first: the fold of a walk-forward that goes is not a dependant of anything.
		for _, step := range []struct {
			queries func(Kind) []string
			part    bool
		}{{partsOf, true}, {dependantsOf, false}} {
			for _, kind := range slices.Sorted(maps.Keys(byKind)) {
				ids := byKind[kind]
				if kind == Dataset {
					ids = idsOf(s.all, Dataset) // a name that a schedule goes by is gone with the last of its versions
				}
				for _, query := range step.queries(kind) {
					refs, err := s.read(query, ids)
					if err != nil {
						return nil, err
					}
					next = append(next, s.add(refs, step.part)...)
				}
			}
		}
	}
	for _, one := range s.all {
		p.Deletes[one.Kind]++
		if !one.part && !slices.ContainsFunc(named, func(r Ref) bool { return r.ID == one.ID }) {
			p.Dependants = append(p.Dependants, one.Ref)
		}
		if !ended(one.Status) {
			p.Active = append(p.Active, one.Ref)
		}
	}
	p.items = s.all
	return p, s.order(p.items)
}

// order has what refers to another go before it: the newest version of a dataset first.
func (s *search) order(items []found) error {
	rows, err := s.tx.Query(s.ctx, `select id, version from datasets where workspace_id = $1 and id = any($2)`, s.workspace, idsOf(items, Dataset))
	if err != nil {
		return fmt.Errorf("order versions: %w", err)
	}
	version := map[uuid.UUID]int{}
	var id uuid.UUID
	var number int
	if _, err := pgx.ForEachRow(rows, []any{&id, &number}, func() error { version[id] = number; return nil }); err != nil {
		return fmt.Errorf("order versions: %w", err)
	}
	rank := map[Kind]int{Tune: 0, WalkForward: 1, RunPlan: 2, Run: 3, Dataset: 4, Schedule: 5}
	slices.SortStableFunc(items, func(a, b found) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), cmp.Compare(version[b.ID], version[a.ID]))
	})
	return nil
}

// idsOf are the ids of those of a kind.
func idsOf(items []found, kind Kind) []uuid.UUID {
	ids := []uuid.UUID{}
	for _, item := range items {
		if item.Kind == kind {
			ids = append(ids, item.ID)
		}
	}
	return ids
}

// add keeps what is not known yet, and returns it.
func (s *search) add(refs []Ref, part bool) []found {
	var fresh []found
	for _, ref := range refs {
		if !s.seen[ref.ID] {
			s.seen[ref.ID] = true
			fresh = append(fresh, found{ref, part})
		}
	}
	s.all = append(s.all, fresh...)
	return fresh
}

func (s *search) read(query string, ids []uuid.UUID) ([]Ref, error) {
	room := MaxItems - len(s.all)
	rows, err := s.tx.Query(s.ctx, `select kind, id, name, status from (`+query+`) refs limit $3`, s.workspace, ids, MaxItems+1)
	if err != nil {
		return nil, fmt.Errorf("look for what depends: %w", err)
	}
	refs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Ref])
	if err != nil {
		return nil, fmt.Errorf("look for what depends: %w", err)
	}
	fresh := 0
	for _, ref := range refs {
		if !s.seen[ref.ID] {
			fresh++
		}
	}
	if fresh > room {
		return nil, &TooManyError{MaxItems}
	}
	return refs, nil
}

// refsOf selects a kind's rows of workspace $1 as Refs.
func refsOf(kind Kind) string {
	return map[Kind]string{
		Tune:        `select 'tune' as kind, id, strategy as name, status from tunes where workspace_id = $1`,
		WalkForward: `select 'wfo' as kind, id, strategy as name, status from wfo_runs where workspace_id = $1`,
		RunPlan:     `select 'run_plan' as kind, id, name, status from run_plans where workspace_id = $1`,
		Run:         `select 'run' as kind, id, strategy as name, '' as status from backtest_runs where workspace_id = $1`,
		Dataset:     `select 'dataset' as kind, id, name, '' as status from datasets where workspace_id = $1`,
	}[kind]
}

// partsOf are queries of what belongs to those of a kind with the ids $2, and goes with them.
func partsOf(kind Kind) []string {
	return map[Kind][]string{
		WalkForward: {refsOf(Tune) + ` and wfo_id = any($2)`},
		RunPlan:     {refsOf(Tune) + ` and id in (select tune_id from run_plan_variants where run_plan_id = any($2))`},
	}[kind]
}

// dependantsOf are queries of what cannot be without those of a kind with the ids $2.
func dependantsOf(kind Kind) []string {
	return map[Kind][]string{
		Dataset: {
			refsOf(Dataset) + ` and base_id = any($2)`,
			refsOf(Tune) + ` and wfo_id is null and dataset_id = any($2)`,
			refsOf(Tune) + ` and wfo_id is null and id in (select tune_id from tune_datasets where dataset_id = any($2))`,
			refsOf(Tune) + ` and wfo_id is null and spec ->> 'intrabar_dataset' = any(array(select x::text from unnest($2::uuid[]) x))`,
			refsOf(WalkForward) + ` and dataset_id = any($2)`,
			refsOf(WalkForward) + ` and id in (select wfo_id from wfo_datasets where dataset_id = any($2))`,
			refsOf(WalkForward) + ` and spec ->> 'intrabar_dataset' = any(array(select x::text from unnest($2::uuid[]) x))`,
			refsOf(Run) + ` and dataset_id = any($2)`,
			refsOf(Run) + ` and spec ->> 'intrabar_dataset' = any(array(select x::text from unnest($2::uuid[]) x))`,
			schedules.Naming,
		},
		Tune: {
			refsOf(WalkForward) + ` and id in (select wfo_id from tunes where id = any($2))`,
			refsOf(RunPlan) + ` and id in (select run_plan_id from run_plan_variants where tune_id = any($2))`,
		},
	}[kind]
}
