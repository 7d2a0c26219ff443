package upkeep

import (
	"context"
	"fmt"

	"millrace/store"
)

// SetWindows sets how many days retention jobs keep what they delete after. A job that is not named, or with 0, is left
// as it is.
func (s *Store) SetWindows(ctx context.Context, days map[string]int) error {
	var jobs []string
	var ages []int
	for job, n := range days {
		if n > 0 {
			jobs, ages = append(jobs, job), append(ages, n)
		}
	}
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			update retention_rules r set age = make_interval(days => w.days)
			  from unnest($1::text[], $2::int[]) w (job, days)
			 where r.job_name = w.job and r.age <> make_interval(days => w.days)`, jobs, ages)
		return err
	})
	if err != nil {
		return fmt.Errorf("set the windows of retention: %w", err)
	}
	return nil
}
