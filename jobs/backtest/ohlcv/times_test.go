package ohlcv

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	utc := func(text string) int64 {
		at, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		return at.UnixMicro()
	}
	for text, want := range map[string]string{
		"2020-01-02":                          "2020-01-02T00:00:00Z",
		" 2020-01-02 ":                        "2020-01-02T00:00:00Z",
		"2020-01-02 03:04":                    "2020-01-02T03:04:00Z",
		"2020-01-02 03:04:05":                 "2020-01-02T03:04:05Z",
		"2020-01-02T03:04:05Z":                "2020-01-02T03:04:05Z",
		"2020-01-02 03:04:05 UTC":             "2020-01-02T03:04:05Z",
		"2020-01-02T03:04:05.678901234+01:00": "2020-01-02T02:04:05.678901Z",
		"2020-01-02 03:04:05-0530":            "2020-01-02T08:34:05Z",
		"2020-01-02 03:04:05+05":              "2020-01-01T22:04:05Z",
		"2000-02-29":                          "2000-02-29T00:00:00Z",
		"1969-12-31T23:59:59.5Z":              "1969-12-31T23:59:59.5Z",
		"Jan 1 2000":                          "2000-01-01T00:00:00Z",
		"Feb 29, 2004":                        "2004-02-29T00:00:00Z",
		"0":                                   "1970-01-01T00:00:00Z",
		"-86400":                              "1969-12-31T00:00:00Z",
		"1577934245":                          "2020-01-02T03:04:05Z",
		"1577934245.25":                       "2020-01-02T03:04:05.25Z",
		"1577934245.0":                        "2020-01-02T03:04:05Z",
		"1577934245678":                       "2020-01-02T03:04:05.678Z",
		"1577934245678901":                    "2020-01-02T03:04:05.678901Z",
		"1577934245678901234":                 "2020-01-02T03:04:05.678901Z",
		"12345678":                            "1970-05-23T21:21:18Z",
	} {
		got, err := parseTime(text)
		require.NoError(t, err, text)
		require.Equal(t, utc(want), got, text)
	}
	for _, text := range []string{
		"", " ", "then", "2020-13-01", "2020-00-01", "2020-01-32", "2021-02-29", "2020-01-02T", "2020-01-02T3:04",
		"2020-01-02T24:00:00", "2020-01-02T23:60:00", "2020-01-02T23:59:60", "2020-01-02T03:04:05 CET", "2020-01-02T03:04:05+1",
		"2020-01-02T03:04:05+24:00", "2020-01-02x", "20-01-2020", "01/02/2020", "20200102", "1e9", "--5", "1.2.3", "99999999999999999999",
		"0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "Feb 30 2000", "2020-01-02T03:04:05.", "-2-01-0a",
	} {
		_, err := parseTime(text)
		require.Error(t, err, text)
	}
}

func TestParseTimeAgreesWithTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", rapid.IntRange(-14*60, 14*60).Draw(t, "offset")*60)
		at := time.UnixMicro(rapid.Int64Range(minMicros+86_400_000_000, maxMicros-86_400_000_000).Draw(t, "at")).In(zone)
		got, err := parseTime(at.Format(time.RFC3339Nano))
		require.NoError(t, err)
		require.Equal(t, at.UnixMicro(), got)
	})
}

func FuzzParseTime(f *testing.F) {
	f.Add("2020-01-02T03:04:05.678901234+01:00")
	f.Add("1577934245.25")
	f.Fuzz(func(t *testing.T, text string) {
		us, err := parseTime(text)
		if err == nil {
			require.GreaterOrEqual(t, us, int64(minMicros))
			require.LessOrEqual(t, us, int64(maxMicros))
		}
	})
}
