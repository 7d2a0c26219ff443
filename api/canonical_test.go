package api

import (
	"bytes"
	"encoding/json"
	"math/big"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// decoded reads JSON with another parser, numbers exactly; ok is false where that would take too long.
func decoded(t *testing.T, body []byte) (v any, ok bool) {
	t.Helper()
	in := json.NewDecoder(bytes.NewReader(body))
	in.UseNumber()
	require.NoError(t, in.Decode(&v))
	return exact(v)
}

func exact(v any) (any, bool) {
	switch v := v.(type) {
	case json.Number:
		if i := strings.IndexAny(string(v), "eE"); i >= 0 && len(v)-i > 5 {
			return nil, false
		}
		number, ok := new(big.Rat).SetString(string(v))
		return number.RatString(), ok
	case []any:
		for i := range v {
			var ok bool
			if v[i], ok = exact(v[i]); !ok {
				return nil, false
			}
		}
	case map[string]any:
		for name := range v {
			var ok bool
			if v[name], ok = exact(v[name]); !ok {
				return nil, false
			}
		}
	case string:
		return "text " + v, true
	}
	return v, true
}

// What is plain JSON has its canonical form in one pass, and what is not, or may be wrong, does not.
func TestPlainJSONHasTheCanonicalForm(t *testing.T) {
	t.Parallel()
	for body, plain := range map[string]bool{
		`{"strategy_name":"sma_cross","n_trials":100,"param_space":{"slow":{"low":102,"high":301.50},"fast":[-5e1,0,1E+2]},"tpe":null,"a":true,"b":false}`: true,
		` [ ] `: true, `{ }`: true, `"a b~!"`: true, `-0`: true, `[{"b":{"d":1,"c":[{"z":0,"y":0}]},"a":2},[],{}]`: true,
		strings.Repeat("[", 64) + strings.Repeat("]", 64): true, strings.Repeat("[", 65) + strings.Repeat("]", 65): false,
		strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64): true, strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65): false,
		`{"a":1,"a":2}`: false, `{"b":1,"a":1,"b":2}`: false, `"\u0041"`: false, `"é"`: false, "\"\x7f\"": false, "\"\t\"": false, ``: false, `{`: false, `[1`: false,
		`[1,]`: false, `{"a":1,}`: false, `{"a"}`: false, `01`: false, `1.`: false, `.5`: false, `1e`: false, `+1`: false, `-`: false, `tru`: false, `truefalse`: false,
		`1 2`: false, `{}{}`: false, `"a`: false, `1e9999999`: false, strings.Repeat("9", 300): false, `[1 2]`: false, `{"a" 1}`: false, `nullx`: false,
	} {
		form, ok := plainForm([]byte(body))
		require.Equal(t, plain, ok, body)
		any, err := anyForm([]byte(body))
		if plain {
			require.NoError(t, err, body)
			require.Equal(t, string(any), string(form), body)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		`{"b":1,"a":{"d":[],"c":null}}`, ` [1.0, 1e0, 10e-1, -0, 0.1e1] `, `"\u00e9 é \ud83d\ude00 \/"`,
		`{"seed":18446744073709551615}`, `{"seed":9007199254740993}`, `1e400`, `-1E-400`, `1e9999999`, `{"a":1,"a":2}`,
		`{"a":1,"\u0061":2}`, "\"\xff\"", `{"a":1}{"b":2}`, `[`, ``, `null`, "\ufeff{}", `{"a":1,}`, `01`, `"\ud800"`,
		strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65),
		strings.Repeat("[", 20000), strings.Repeat("9", 300), `{"\u0000":"\t"}`, `{"€":1,"\r":2,"דּ":3,"1":4,"😀":5,"ö":6}`,
	} {
		f.Add([]byte(seed), []byte(`{"a":{"c":null,"d":[]},"b":1.0}`))
	}
	f.Fuzz(func(t *testing.T, body, other []byte) {
		for _, body := range [][]byte{body, other} {
			if plain, ok := plainForm(body); ok {
				any, err := anyForm(body)
				require.NoError(t, err)
				require.Equal(t, string(any), string(plain), "plain JSON has another canonical form")
			}
		}
		form, err := canonical(body)
		if err != nil {
			p, internal := asProblem(err)
			require.False(t, internal)
			require.Equal(t, http.StatusBadRequest, p.Status)
			require.NotEmpty(t, p.Errors[0].Field)
			return
		}
		again, err := canonical(form)
		require.NoError(t, err)
		require.Equal(t, string(form), string(again), "the canonical form of the canonical form")
		value, ok := decoded(t, body)
		if !ok {
			return
		}
		same, ok := decoded(t, form)
		require.True(t, ok)
		require.Equal(t, value, same, "the canonical form means something else")
		var spaced bytes.Buffer
		require.NoError(t, json.Indent(&spaced, body, "\r\n", "\t "))
		again, err = canonical(spaced.Bytes())
		require.NoError(t, err)
		require.Equal(t, string(form), string(again), "spacing matters")

		otherForm, err := canonical(other)
		if err != nil {
			return
		}
		if otherValue, ok := decoded(t, other); ok {
			require.Equal(t, equalJSON(value, otherValue), bytes.Equal(form, otherForm))
		}
	})
}

// equalJSON compares what decoded returns.
func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func TestEqualNumbersAndNoOthersAreAlike(t *testing.T) {
	for _, alike := range [][]string{
		{"1", "1.0", "1e0", "1E+0", "10e-1", "0.1e1", "100.00e-2"},
		{"0", "-0", "0.0", "0e5", "-0.0e-7"},
		{"-1500", "-1.5e3", "-15e2", "-1500.0"},
		{"9007199254740992"}, {"9007199254740993"}, {"9007199254740993.5"},
		{"18446744073709551615"}, {"18446744073709551614"},
		{"1e400", "10e399"}, {"1e401"}, {"1e-400"}, {"0.1"}, {"0.10000000000000001"},
	} {
		for _, text := range alike {
			form, err := canonical([]byte(text))
			require.NoError(t, err)
			first, err := canonical([]byte(alike[0]))
			require.NoError(t, err)
			require.Equal(t, string(first), string(form), text)
		}
	}
	seen := map[string]string{}
	for _, text := range []string{"1", "0", "-1500", "1500", "9007199254740992", "9007199254740993", "18446744073709551615", "1e400", "1e401", "1e-400"} {
		form, err := canonical([]byte(text))
		require.NoError(t, err)
		require.Empty(t, seen[string(form)], "%s is taken for another number", text)
		seen[string(form)] = text
	}
}

// Sorting is linear in the depth, so a small limit keeps the worst body cheap.
func TestTheWorstBodyIsCanonicalInTime(t *testing.T) {
	open := strings.Repeat(`{"b":`, maxDepth-1)
	body := open + `"` + strings.Repeat("x", 9<<20) + `"` + strings.Repeat(`,"a":1}`, maxDepth-1)
	form, err := canonical([]byte(body))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(form), `{"a":1,"b":{"a":1,`))
}

// Putting the members of one object in order copies that object, and not all that is before it: a body of 10 MB has 700,000.
func TestABodyOfManyObjectsIsCopiedAFewTimes(t *testing.T) {
	body := []byte("[" + strings.Repeat(`{"b":1,"a":2},`, 20_000) + "1]")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	form, ok := plainForm(body)
	runtime.ReadMemStats(&after)
	require.True(t, ok)
	require.True(t, strings.HasPrefix(string(form), `[{"a":2,"b":1},{"a":2`))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100*len(body)))
}

func TestAFormIsTheSameUnderAnyBoundary(t *testing.T) {
	form := func(boundary string, fields ...string) []byte {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		require.NoError(t, w.SetBoundary(boundary))
		for i := 0; i < len(fields); i += 2 {
			require.NoError(t, w.WriteField(fields[i], fields[i+1]))
		}
		require.NoError(t, w.Close())
		return body.Bytes()
	}
	print := func(body []byte, boundary string) [32]byte {
		sum, err := formFingerprint(body, boundary)
		require.NoError(t, err)
		return sum
	}
	one := print(form("one", "a", "1", "b", "2"), "one")
	require.Equal(t, one, print(form("two", "b", "2", "a", "1"), "two"))
	require.NotEqual(t, one, print(form("one", "a", "1", "b", "3"), "one"))
	require.NotEqual(t, one, print(form("one", "a", "2", "b", "1"), "one"))
	require.NotEqual(t, one, print(form("one", "a", "1"), "one"))
	for _, bad := range [][]byte{nil, []byte("x"), form("one", "a", "1")[:20], form("many", append(make([]string, 0), strings.Split(strings.Repeat("a,1,", 101), ",")[:202]...)...)} {
		_, err := formFingerprint(bad, "many")
		p, _ := asProblem(err)
		require.Equal(t, http.StatusBadRequest, p.Status)
	}
}
