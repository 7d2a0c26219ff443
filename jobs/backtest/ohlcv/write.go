package ohlcv

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"time"

	"millrace/jobs/backtest"
)

// WriteCSV writes bars exactly: times in RFC 3339 and UTC, prices with the
// fewest digits that read back as the same number.
func WriteCSV(w io.Writer, b *backtest.Bars) error {
	out := bufio.NewWriterSize(w, 64<<10)
	line := []byte("time,open,high,low,close,volume\n")
	for i := range b.Len() {
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
		line = time.UnixMicro(b.Time[i]).UTC().AppendFormat(line[:0], time.RFC3339Nano)
		for _, v := range [...]float64{b.Open[i], b.High[i], b.Low[i], b.Close[i], b.Volume[i]} {
			line = append(line, ',')
			line = strconv.AppendFloat(line, v, 'g', -1, 64)
		}
		line = append(line, '\n')
	}
	if _, err := out.Write(line); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}
