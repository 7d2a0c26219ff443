package fetch_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/fetch"
)

// site serves on an address of loopback; reached says how many requests came.
func site(t *testing.T, ip string, handler http.HandlerFunc) (base string, port uint16, reached *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	require.NoError(t, err)
	reached = &atomic.Int64{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		handler(w, r)
	}))
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	at := netip.MustParseAddrPort(listener.Addr().String())
	return server.URL, at.Port(), reached
}

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, "hello")
}

// open is a fetcher that may reach loopback at the ports given.
func open(ports ...uint16) *fetch.Fetcher {
	return fetch.New(fetch.Options{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowPorts: ports, Timeout: 10 * time.Second,
	})
}

func fetchError(t *testing.T, err error, what string) *knowledge.FetchError {
	t.Helper()
	var failed *knowledge.FetchError
	require.True(t, errors.As(err, &failed), "%s: %v", what, err)
	require.NotContains(t, failed.Reason, "127.0.0.1", "a reason holds no addresses")
	return failed
}

func TestFetchesWhatItMay(t *testing.T) {
	base, port, _ := site(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/here", http.StatusFound)
			return
		}
		if r.Header.Get("Referer") != "" || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		hello(w, r)
	})
	got, err := open(port).Fetch(t.Context(), base+"/moved", 100)
	require.NoError(t, err)
	require.Equal(t, knowledge.Fetched{URL: base + "/here", ContentType: "text/plain; charset=utf-8", Body: []byte("hello")}, got)
}

// Every way to name an address that is not public is refused, whether by its spelling or when it is
// dialled, and nothing arrives there.
func TestWhatIsNotPublicIsRefused(t *testing.T) {
	_, port, reached := site(t, "127.0.0.1", hello)
	fetcher := fetch.New(fetch.Options{AllowPorts: []uint16{port}, Timeout: 5 * time.Second})
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]",
		"[::127.0.0.1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1",
		"224.0.0.1", "240.0.0.1", "255.255.255.255", "localhost",
		"2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "127.0.0.01", "%31%32%37.0.0.1",
	} {
		_, err := fetcher.Fetch(t.Context(), fmt.Sprintf("http://%s:%d/", host, port), 100)
		failed := fetchError(t, err, host)
		require.True(t, failed.Permanent, "%s: %v %v", host, failed, failed.Err)
	}
	require.Zero(t, reached.Load())
}

func TestAddressesThatNoFetchGets(t *testing.T) {
	for _, address := range []string{
		"", "example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1/", "javascript:alert(1)",
		"http:///x", "http://user:secret@example.com/", "http://[::1/", "http://exa mple.com/", "http://example.com:99999/",
		"http://example.com/" + strings.Repeat("x", 2000),
	} {
		_, err := open().Fetch(t.Context(), address, 100)
		require.True(t, fetchError(t, err, address).Permanent, address)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestAPortMustBeAllowed(t *testing.T) {
	base, _, reached := site(t, "127.0.0.1", hello)
	_, err := open().Fetch(t.Context(), base, 100)
	require.Contains(t, fetchError(t, err, base).Reason, "port")
	require.Zero(t, reached.Load())
}

func TestARedirectToWhatIsNotPublicIsRefused(t *testing.T) {
	_, inner, reached := site(t, "127.0.0.1", hello)
	var target string
	base, port, _ := site(t, "127.0.0.2", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target, http.StatusFound)
	})
	fetcher := fetch.New(fetch.Options{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, AllowPorts: []uint16{port, inner}, Timeout: 5 * time.Second,
	})
	for _, target = range []string{
		fmt.Sprintf("http://127.0.0.1:%d/", inner), fmt.Sprintf("http://[::ffff:127.0.0.1]:%d/", inner),
		fmt.Sprintf("http://2130706433:%d/", inner), "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd",
		"http://user:pass@127.0.0.2/",
	} {
		_, err := fetcher.Fetch(t.Context(), base, 100)
		require.True(t, fetchError(t, err, target).Permanent, target)
	}
	target = base + "/again"
	_, err := fetcher.Fetch(t.Context(), base, 100)
	require.Contains(t, fetchError(t, err, target).Reason, "redirects")
	require.Zero(t, reached.Load())
}

// resolver answers each question with the next of the addresses, over and over; without any, there is
// no such name.
func resolver(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		packet := make([]byte, 512)
		for asked := 0; ; {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			var question dnsmessage.Message
			if question.Unpack(packet[:n]) != nil || len(question.Questions) != 1 {
				continue
			}
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true, Authoritative: true}, Questions: question.Questions}
			if len(addresses) == 0 {
				answer.RCode = dnsmessage.RCodeNameError
			} else if question.Questions[0].Type == dnsmessage.TypeA {
				answer.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: question.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addresses[asked%len(addresses)]).As4()},
				}}
				asked++
			}
			raw, err := answer.Pack()
			if err == nil {
				_, _ = conn.WriteTo(raw, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// A name that is harmless when it is first looked up and loopback at the second look reaches nothing.
func TestARebindingNameIsRefused(t *testing.T) {
	_, inner, reached := site(t, "127.0.0.1", hello)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", inner)) // the same port at the harmless address
	require.NoError(t, err)
	harmless := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/second", http.StatusFound)
	})}
	go func() { _ = harmless.Serve(listener) }()
	t.Cleanup(func() { _ = harmless.Close() })
	fetcher := fetch.New(fetch.Options{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, AllowPorts: []uint16{inner},
		Resolver: resolver(t, "127.0.0.2", "127.0.0.1"), Timeout: 5 * time.Second,
	})
	_, err = fetcher.Fetch(t.Context(), fmt.Sprintf("http://rebind.test:%d/", inner), 100)
	failed := fetchError(t, err, "rebinding")
	require.True(t, failed.Permanent)
	require.Contains(t, failed.Reason, "public internet")
	require.Zero(t, reached.Load())
}

func TestANameThatThereIsNot(t *testing.T) {
	_, err := fetch.New(fetch.Options{Resolver: resolver(t)}).Fetch(t.Context(), "http://nowhere.test/", 100)
	failed := fetchError(t, err, "nowhere")
	require.True(t, failed.Permanent)
	require.Contains(t, failed.Reason, "no host of that name")
}

func TestProxySettingsAreIgnored(t *testing.T) {
	proxy, port, reached := site(t, "127.0.0.1", hello)
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	fetcher := fetch.New(fetch.Options{ // the proxy itself might be reached
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, AllowPorts: []uint16{port},
		Resolver: resolver(t, "10.0.0.1"), Timeout: 5 * time.Second,
	})
	_, err := fetcher.Fetch(t.Context(), "http://example.test/", 100)
	require.True(t, fetchError(t, err, "proxy").Permanent)
	require.Zero(t, reached.Load())
}

func TestSizeIsBoundedAfterDecompression(t *testing.T) {
	var sent atomic.Int64
	base, port, _ := site(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/announced":
			w.Header().Set("Content-Length", "5000")
			return
		case "/endless":
			for range 200 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
				sent.Add(1)
			}
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		pack := gzip.NewWriter(w)
		for range 200 {
			if _, err := pack.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
		_ = pack.Close()
	})
	for _, path := range []string{"/announced", "/bomb", "/endless"} {
		_, err := open(port).Fetch(t.Context(), base+path, 1000)
		failed := fetchError(t, err, path)
		require.True(t, failed.Permanent)
		require.Contains(t, failed.Reason, "limit")
	}
	require.Less(t, sent.Load(), int64(100), "what is over the limit is not read")
}

func TestStatuses(t *testing.T) {
	var after string
	base, port, _ := site(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.WriteHeader(status)
	})
	for _, test := range []struct {
		status    int
		after     string
		permanent bool
		wait      time.Duration
	}{
		{404, "", true, 0}, {401, "", true, 0}, {204, "", true, 0}, {500, "", false, 0}, {502, "", false, 0},
		{429, "", false, 30 * time.Second}, {429, "120", false, 2 * time.Minute}, {503, "7", false, 7 * time.Second},
		{503, "999999999999", false, 0}, {503, "100000", false, time.Hour}, {503, "soon", false, 0}, {429, "-5", false, 30 * time.Second},
	} {
		after = test.after
		_, err := open(port).Fetch(t.Context(), fmt.Sprintf("%s/%d", base, test.status), 100)
		failed := fetchError(t, err, base)
		require.Equal(t, test.permanent, failed.Permanent, test.status)
		if test.after == "999999999999" {
			require.Positive(t, failed.RetryAfter)
			continue
		}
		require.Equal(t, test.wait, failed.RetryAfter, "%d %s", test.status, test.after)
	}
}

func TestASilentSourceTimesOut(t *testing.T) {
	done := make(chan struct{})
	base, port, _ := site(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) { <-done })
	defer close(done)
	fetcher := fetch.New(fetch.Options{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowPorts: []uint16{port}, Timeout: 200 * time.Millisecond,
	})
	_, err := fetcher.Fetch(t.Context(), base, 100)
	failed := fetchError(t, err, base)
	require.False(t, failed.Permanent)
	require.Contains(t, failed.Reason, "too long")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = fetcher.Fetch(ctx, base, 100)
	require.ErrorIs(t, err, context.Canceled)
}
