package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{t, cert, key}
}

// issue makes a certificate and its key, PEM.
func (a *authority) issue(serial int64, lasts time.Duration) (cert, key []byte) {
	a.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)
	require.NoError(a.t, err)
	private, err := x509.MarshalECPrivateKey(own)
	require.NoError(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})
}

// client trusts the authority only.
func (a *authority) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// The API serves TLS by the files that it is given. New files are taken by themselves and with SIGHUP: new connections
// get the new certificate, and open ones, streams too, go on. Files that are wrong change nothing.
func TestCertificatesAreReplacedWithoutADroppedConnection(t *testing.T) {
	const token = "admin-token-of-a-server-with-tls"
	a := newAuthority(t)
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	install := func(serial int64, lasts time.Duration) {
		t.Helper()
		cert, key := a.issue(serial, lasts)
		require.NoError(t, os.WriteFile(certFile, cert, 0o600))
		require.NoError(t, os.WriteFile(keyFile, key, 0o600))
	}
	install(100, 365*24*time.Hour)
	only(t, "ADMIN_TOKEN", token, "MILLRACE_TLS_CERT", certFile, "MILLRACE_TLS_KEY", keyFile)
	f := newFleetOn(t, newCluster(t, nil))
	api := f.process("api", "--addr", "127.0.0.1:0")
	url := "https://" + api.await("addr=")

	get := func(client *http.Client, path string) *http.Response {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		t.Cleanup(cancel)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
		require.NoError(t, err)
		req.Header.Set("X-Admin-Token", token)
		resp, err := client.Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		require.Equal(t, http.StatusOK, resp.StatusCode)
		return resp
	}
	serial := func(client *http.Client) int64 {
		t.Helper()
		resp := get(client, "/healthz")
		_, err := io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NotNil(t, resp.TLS)
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	open := a.client()
	require.EqualValues(t, 100, serial(open))
	stream := get(open, "/admin/events/stream")
	require.Equal(t, 2, stream.ProtoMajor)

	// By themselves.
	install(200, 365*24*time.Hour)
	require.Eventually(t, func() bool { return serial(a.client()) == 200 }, time.Minute, 100*time.Millisecond, "%s", api.log)
	require.EqualValues(t, 100, serial(open), "the open connection continues")

	// With SIGHUP; this one ends soon. Once more where the look that is taken every 10 seconds came first.
	last := int64(200)
	for tries := 1; !strings.Contains(api.log.String(), "msg=reloaded settings=MILLRACE_TLS_CERT "); tries++ {
		require.LessOrEqual(t, tries, 5, "SIGHUP does not reload the certificate: %s", api.log)
		last++
		install(last, 48*time.Hour)
		require.NoError(t, api.cmd.Process.Signal(syscall.SIGHUP))
		require.Eventually(t, func() bool { return strings.Count(api.log.String(), "msg=reloaded ") == tries }, 30*time.Second, 10*time.Millisecond, "%s", api.log)
		require.Equal(t, last, serial(a.client()))
	}
	require.Eventually(t, func() bool { return strings.Contains(api.log.String(), "the certificate ends soon") }, time.Minute, 100*time.Millisecond)

	// A mistake.
	require.NoError(t, os.WriteFile(keyFile, []byte("not a key"), 0o600))
	require.NoError(t, api.cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return strings.Contains(api.log.String(), "the certificate was not reloaded") }, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, last, serial(a.client()))
	require.EqualValues(t, 100, serial(open))

	// The stream was open all the while: its end is the server's.
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(stream.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	select {
	case _, going := <-lines:
		require.True(t, going, "the stream was cut")
	case <-time.After(time.Minute):
		t.Fatal("the stream says nothing")
	}
	require.NoError(t, api.cmd.Process.Signal(syscall.SIGTERM))
	for range lines {
	}
	require.NoError(t, api.cmd.Wait(), "%s", api.log)
	require.Contains(t, api.log.String(), "msg=stopped")
	require.NotContains(t, api.log.String(), "PRIVATE KEY")
}

// While the files cannot be read to their end, as on a disk that hangs, connections get the certificate of before.
func TestNoConnectionWaitsForTheFilesOfTheCertificate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	flags := tlsFlags{TLSCert: filepath.Join(folder, "cert.pem"), TLSKey: filepath.Join(folder, "key.pem")}
	cert, key := newAuthority(t).issue(7, time.Hour)
	require.NoError(t, os.WriteFile(flags.TLSCert, cert, 0o600))
	require.NoError(t, os.WriteFile(flags.TLSKey, key, 0o600))
	c := &certificate{flags: flags, logger: slog.New(slog.DiscardHandler)}
	changed, err := c.reload()
	require.NoError(t, err)
	require.True(t, changed)
	require.NoError(t, os.Remove(flags.TLSCert))
	require.NoError(t, syscall.Mkfifo(flags.TLSCert, 0o600))
	reloaded := make(chan error, 1)
	go func() {
		_, err := c.reload()
		reloaded <- err
	}()
	pipe, err := os.OpenFile(flags.TLSCert, os.O_WRONLY, 0) // returns when the reload has opened it
	require.NoError(t, err)
	given := make(chan *tls.Certificate, 1)
	go func() {
		cert, _ := c.config().GetCertificate(nil)
		given <- cert
	}()
	select {
	case cert := <-given:
		require.EqualValues(t, 7, cert.Leaf.SerialNumber.Int64())
	case <-time.After(30 * time.Second):
		t.Error("a connection waits for the files")
	}
	require.NoError(t, pipe.Close())
	require.Error(t, <-reloaded, "an empty file is not a certificate")
}

func TestWrongCertificatesAreNamed(t *testing.T) {
	a := newAuthority(t)
	folder := t.TempDir()
	file := func(name string, body []byte) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, body, 0o600))
		return path
	}
	cert, key := a.issue(1, time.Hour)
	_, other := a.issue(2, time.Hour)
	good, goodKey := file("cert", cert), file("key", key)
	require.NoError(t, tlsFlags{}.check())
	require.NoError(t, tlsFlags{good, goodKey}.check())
	for want, flags := range map[string]tlsFlags{
		"set both or neither":                        {TLSCert: good},
		"--tls-cert (MILLRACE_TLS_CERT): open":       {filepath.Join(folder, "none"), goodKey},
		"--tls-key (MILLRACE_TLS_KEY): open":         {good, filepath.Join(folder, "none")},
		"private key does not match public key":      {good, file("other", other)},
		"failed to find any PEM data in certificate": {file("empty", nil), goodKey},
	} {
		require.ErrorContains(t, flags.check(), want)
	}
}
