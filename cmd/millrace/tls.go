package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"millrace/ops/routine"
)

// tlsFlags have the API serve TLS by itself.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" env:"MILLRACE_TLS_CERT" placeholder:"FILE" help:"Certificate to serve TLS with, PEM, with those between it and the root behind it. Unset: plain HTTP, for a proxy before it. It is read again within 10 seconds when it changes, and on SIGHUP; open connections go on."`
	TLSKey  string `name:"tls-key" env:"MILLRACE_TLS_KEY" placeholder:"FILE" help:"Its private key, PEM."`
}

func (f tlsFlags) check() error {
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return errors.New("--tls-cert (MILLRACE_TLS_CERT) and --tls-key (MILLRACE_TLS_KEY): set both or neither")
	}
	if f.TLSCert == "" {
		return nil
	}
	_, _, err := f.read()
	return err
}

// read is the certificate that the files have, and a digest of the files.
func (f tlsFlags) read() (*tls.Certificate, [32]byte, error) {
	cert, certErr := os.ReadFile(f.TLSCert)
	key, keyErr := os.ReadFile(f.TLSKey)
	digest := sha256.Sum256(slices.Concat(cert, []byte{0}, key))
	if certErr != nil {
		certErr = fmt.Errorf("--tls-cert (MILLRACE_TLS_CERT): %w", certErr)
	}
	if keyErr != nil {
		keyErr = fmt.Errorf("--tls-key (MILLRACE_TLS_KEY): %w", keyErr)
	}
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, digest, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, digest, fmt.Errorf("--tls-cert (MILLRACE_TLS_CERT) and --tls-key (MILLRACE_TLS_KEY): %w", err)
	}
	return &pair, digest, nil
}

// How often the files are looked at, and how long before its end a certificate is warned of, once a day.
const (
	certEvery = 10 * time.Second
	certSoon  = 14 * 24 * time.Hour
)

// certificate is the one that new connections get: that of the files, or while these are wrong the one before.
type certificate struct {
	flags  tlsFlags
	logger *slog.Logger

	reading sync.Mutex // held while the files are read, which a slow disk may delay: no connection waits for it
	digest  [32]byte   // of the files as they were read last, right or wrong

	mu       sync.Mutex
	now      *tls.Certificate
	warnedAt time.Time
}

// openCertificate reads the files and follows them until the clean-up.
func openCertificate(ctx context.Context, life *lifecycle, env *environment, flags tlsFlags) (*certificate, error) {
	c := &certificate{flags: flags, logger: env.logger}
	var err error
	if c.now, c.digest, err = flags.read(); err != nil {
		return nil, configError{err}
	}
	c.warn()
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	routine.Go(func() error { c.follow(following); return nil }, func(err error) { ended <- err })
	life.onStop(func(context.Context) error { stop(); return <-ended })
	if env.reload != nil {
		env.reload.also("MILLRACE_TLS_CERT", c.reload)
	}
	return c, nil
}

func (c *certificate) follow(ctx context.Context) {
	ticker := time.NewTicker(certEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_, _ = c.reload() // it has logged its error
			c.warn()
		}
	}
}

// reload takes the certificate of the files, and reports whether it is another. Files that are wrong, as between the
// writing of one and of the other, change nothing; they are logged once.
func (c *certificate) reload() (changed bool, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	pair, digest, err := c.flags.read()
	if digest == c.digest {
		return false, err
	}
	c.digest = digest
	if err != nil {
		c.logger.Error("the certificate was not reloaded: the one before stays", "error", err)
		return false, err
	}
	c.mu.Lock()
	c.now, c.warnedAt = pair, time.Time{}
	c.mu.Unlock()
	c.logger.Warn("certificate reloaded", slog.Time("ends", pair.Leaf.NotAfter), slog.String("serial", pair.Leaf.SerialNumber.String()))
	return true, nil
}

// warn logs once a day that the certificate ends soon, or has.
func (c *certificate) warn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := c.now.Leaf.NotAfter
	if time.Until(ends) > certSoon || time.Since(c.warnedAt) < 24*time.Hour {
		return
	}
	c.warnedAt = time.Now()
	c.logger.Error("the certificate ends soon, or has: replace the files of MILLRACE_TLS_CERT and MILLRACE_TLS_KEY", slog.Time("ends", ends))
}

// ends is when the certificate that new connections get ends.
func (c *certificate) ends() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Leaf.NotAfter
}

// config has each new connection get the certificate of now.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.now, nil
		},
	}
}
