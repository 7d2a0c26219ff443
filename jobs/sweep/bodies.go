package sweep

import (
	"crypto/sha256"
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

// LeadersSum is the SHA-256 of the JSON of so many entries of the leaderboard, or of all if there are fewer.
func (out *Outcome) LeadersSum(entries int) ([sha256.Size]byte, error) {
	if entries >= len(out.Leaderboard) && out.leadersSum != nil {
		return *out.leadersSum, nil
	}
	bodies, err := out.LeaderBodies()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sumOf(bodies[:min(entries, len(bodies))]), nil
}

// sumOf is the SHA-256 of the array of what was encoded.
func sumOf(bodies [][]byte) (sum [sha256.Size]byte) {
	hash := sha256.New()
	hash.Write([]byte{'['})
	for i, body := range bodies {
		if i > 0 {
			hash.Write([]byte{','})
		}
		hash.Write(body)
	}
	hash.Write([]byte{']'})
	hash.Sum(sum[:0])
	return sum
}

// RankingBody is the ranking in JSON.
func (out *Outcome) RankingBody() []byte { return encodeRanking(out.Ranking) }

// RankingSum is its SHA-256.
func (out *Outcome) RankingSum() [sha256.Size]byte {
	if out.rankingSum != nil {
		return *out.rankingSum
	}
	return sha256.Sum256(out.RankingBody())
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
