package recommend

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
)

// llmMinutesKept is how far back calls to language models are counted.
const llmMinutesKept = 7 * 24 * time.Hour

// RecordLLMCall counts a call to a language model, or one that was not made as none is set up.
func (s *Store) RecordLLMCall(ctx context.Context, provider, model string, reason knowledge.Reason) error {
	var first bool
	err := s.db.Pool().QueryRow(ctx, `
		insert into llm_minutes as m (minute, provider, model, reason_code, calls, last_at)
		values (date_trunc('minute', clock_timestamp()), $1, $2, $3, 1, clock_timestamp())
		on conflict (minute, provider, model, reason_code) do update set calls = m.calls + 1, last_at = excluded.last_at
		returning calls = 1`, provider, model, string(reason)).Scan(&first)
	if err == nil && first {
		_, err = s.db.Pool().Exec(ctx, `delete from llm_minutes where minute < now() - $1::interval`, llmMinutesKept)
	}
	if err != nil {
		return fmt.Errorf("record a call to a language model: %w", err)
	}
	return nil
}

// LLMCalls are the calls of the whole fleet to language models over some time, for health.
type LLMCalls struct {
	Provider string
	Model    string
	Reason   knowledge.Reason // "": it answered
	Calls    int
	LastAt   time.Time
}

// LLMCalls counts the calls since a time, by provider, model and reason.
func (s *Store) LLMCalls(ctx context.Context, since time.Time) ([]LLMCalls, error) {
	rows, err := s.db.Pool().Query(ctx, `
		select provider, model, reason_code, sum(calls)::int, max(last_at) from llm_minutes
		 where minute >= date_trunc('minute', $1::timestamptz)
		 group by 1, 2, 3 order by 1, 2, 3`, since)
	if err != nil {
		return nil, fmt.Errorf("count calls to language models: %w", err)
	}
	calls, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LLMCalls])
	if err != nil {
		return nil, fmt.Errorf("count calls to language models: %w", err)
	}
	return calls, nil
}
