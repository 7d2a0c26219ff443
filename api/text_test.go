package api

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestABodyOfManyMembersOrValuesIsRefusedBeforeItIsDecoded(t *testing.T) {
	for name, body := range map[string]string{
		"members": "{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 20_000), ",") + "}",
		"values":  "[" + strings.TrimSuffix(strings.Repeat("1,", 1_000_000), ",") + "]",
		"depth":   strings.Repeat("[", 1_000_000),
	} {
		raw := []byte(body)
		used := allocated(func() {
			_, err := fingerprint(raw)
			require.Error(t, err, name)
			require.Error(t, decode(raw, new(any)), name)
		})
		assert.Less(t, used, uint64(1<<20), "%s: bytes to refuse them", name)
	}
	assert.NoError(t, checkJSON([]byte(`{"a":[1,2,{"b":"x,y:{[\"\\"}]}`)))
}

func TestANULInAnyTextOfABodyIsNamed(t *testing.T) {
	for body, field := range map[string]string{
		`{"a":{"b":["x","y\u0000z"]}}`: "a.b.1",
		`{"a\u0000":1}`:                "a\uFFFD",
		`"\u0000"`:                     "body",
	} {
		problem, _ := asProblem(checkJSON([]byte(body)))
		require.Equal(t, 400, problem.Status, body)
		require.Len(t, problem.Errors, 1, body)
		assert.Equal(t, field, problem.Errors[0].Field, body)
	}
	assert.NoError(t, checkJSON([]byte(`{"a":"\\u0000"}`)), "a backslash and letters")
}

func TestAnAnswerRepeatsLittleOfItsRequest(t *testing.T) {
	long := strings.Repeat("x", 1<<20) + "\xff"
	p, _ := asProblem(badForm(long, long))
	p.clip()
	assert.Less(t, len(p.Errors[0].Field), 300)
	assert.Less(t, len(p.Errors[0].Message), 1100)
}
