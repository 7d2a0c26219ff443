package api_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/api"
)

func TestABodyThatDoesNotComeEndsItsConnection(t *testing.T) {
	r := newFixture(t, func(o *api.Options) { o.BodyIdle = 100 * time.Millisecond })
	for _, begun := range []string{"", `{"dataset":`} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST /backtests/run HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n%s", r.key, begun)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
		answer, err := io.ReadAll(conn) // to the end of the connection
		require.NoError(t, err)
		assert.Contains(t, string(answer), "408 Request Timeout")
		require.NoError(t, conn.Close())
	}
}
