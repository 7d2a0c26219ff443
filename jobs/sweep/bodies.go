package sweep

import (
	"fmt"
	"strconv"
)

// LeaderBodies are the entries of the leaderboard in JSON, as they are stored and hashed.
func (out *Outcome) LeaderBodies() ([][]byte, error) {
	if len(out.leaderBodies) == len(out.Leaderboard) {
		return out.leaderBodies, nil
	}
	return encodeLeaders(out.Leaderboard)
}

func encodeLeaders(entries []Entry) ([][]byte, error) {
	bodies := make([][]byte, len(entries))
	var writer entryWriter
	for i := range entries {
		body, err := writer.body(&entries[i])
		if err != nil {
			return nil, fmt.Errorf("encode leaderboard entry: %w", err)
		}
		bodies[i] = body
	}
	return bodies, nil
}

// RankingBody is the ranking in JSON.
func (out *Outcome) RankingBody() []byte {
	if out.rankingBody != nil {
		return out.rankingBody
	}
	return encodeRanking(out.Ranking)
}

func encodeRanking(ranking []int32) []byte {
	if ranking == nil {
		return []byte("null")
	}
	body := make([]byte, 1, 2+7*len(ranking))
	body[0] = '['
	for i, trial := range ranking {
		if i > 0 {
			body = append(body, ',')
		}
		body = strconv.AppendInt(body, int64(trial), 10)
	}
	return append(body, ']')
}
