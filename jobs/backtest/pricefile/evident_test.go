package pricefile_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zip"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/pricefile"
)

// Days and months that could each be the other are distinguished by what only one order makes of the file.
func TestTheOrderOfDayAndMonthFollowsFromTheFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dates []string
		now   time.Time
		order string
		first time.Time
	}{
		"only with the day first do the dates rise": {
			[]string{"11/01/2020", "12/01/2020", "01/02/2020", "02/02/2020"}, time.Time{}, pricefile.OrderDMY, time.Date(2020, 1, 11, 0, 0, 0, 0, time.UTC)},
		"only with the month first do they rise": {
			[]string{"01/11/2020", "01/12/2020", "02/01/2020", "02/02/2020"}, time.Time{}, pricefile.OrderMDY, time.Date(2020, 1, 11, 0, 0, 0, 0, time.UTC)},
		"only with the month first are they past": {
			[]string{"01/12/2019", "02/12/2019", "03/12/2019"}, time.Date(2019, 6, 30, 0, 0, 0, 0, time.UTC), pricefile.OrderMDY, time.Date(2019, 1, 12, 0, 0, 0, 0, time.UTC)},
	} {
		file := "Date,Open,High,Low,Close\n"
		for _, date := range test.dates {
			file += date + ",1,2,0.5,1\n"
		}
		bars, reading, err := pricefile.ReadBytes([]byte(file), pricefile.Options{Now: test.now})
		require.NoError(t, err, name)
		require.Equal(t, test.order, reading.DateOrder, name)
		require.Equal(t, test.first, time.UnixMicro(bars.Time[0]).UTC(), name)
	}
}

// A vendor's archive has a report beside the prices.
func TestTheOneFileOfPricesInAnArchiveIsRead(t *testing.T) {
	t.Parallel()
	archive := func(names ...string) []byte {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		for _, name := range names {
			to, err := z.Create(name)
			require.NoError(t, err)
			body := "the terms of use\n"
			if strings.HasSuffix(strings.ToLower(name), ".csv") {
				body = "time,open,high,low,close\n2024-01-02,1,2,0.5,1\n2024-01-03,1,2,0.5,1\n"
			}
			_, err = to.Write([]byte(body))
			require.NoError(t, err)
		}
		require.NoError(t, z.Close())
		return out.Bytes()
	}
	bars, reading, err := pricefile.ReadBytes(archive("README.txt", "PRICES.CSV", "licence.html"), pricefile.Options{})
	require.NoError(t, err)
	require.Equal(t, 2, bars.Len())
	require.Equal(t, "zip", reading.Compression)
	_, _, err = pricefile.ReadBytes(archive("a.csv", "b.csv"), pricefile.Options{})
	require.ErrorContains(t, err, "holds 2 files")
	names := make([]string, 101)
	for i := range names {
		names[i] = strings.Repeat("n", i+1)
	}
	_, _, err = pricefile.ReadBytes(archive(names...), pricefile.Options{})
	require.ErrorContains(t, err, "holds more than 100 files", "before the names are read")
}
