package webhooks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// SecretPrefix is what every secret begins with, by the Standard Webhooks scheme.
const SecretPrefix = "whsec_"

// minKey is the least length of a key's text, in bytes.
const minKey = 16

// Keyring seals the secrets that sign deliveries, with AES-256-GCM: the database, its backups and who reads them
// have no secret. The webhook's id is sealed with it, so that one webhook's secret cannot be put in another's
// place. The zero Keyring has no key.
type Keyring struct{ keys []cipher.AEAD }

// NewKeyring makes a keyring of texts: the first seals, and all open, so that a key can be replaced.
func NewKeyring(texts ...string) (Keyring, error) {
	var ring Keyring
	for _, text := range texts {
		if len(text) < minKey {
			return ring, fmt.Errorf("a key has %d characters: at least %d", len(text), minKey)
		}
		key, err := hkdf.Key(sha256.New, []byte(text), nil, "millrace webhook secrets", 32)
		if err != nil {
			return ring, fmt.Errorf("derive a key: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return ring, fmt.Errorf("make a cipher: %w", err)
		}
		sealer, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return ring, fmt.Errorf("make a cipher: %w", err)
		}
		ring.keys = append(ring.keys, sealer)
	}
	return ring, nil
}

// Usable reports whether there is a key.
func (k Keyring) Usable() bool { return len(k.keys) > 0 }

// ErrSealed says that no key opens a secret.
var ErrSealed = errors.New("the secret cannot be opened with WEBHOOK_KEY")

// newSecret makes a secret, and its sealed form.
func (k Keyring) newSecret(webhook uuid.UUID) (secret string, sealed []byte, err error) {
	if !k.Usable() {
		return "", nil, ErrSealed
	}
	raw := make([]byte, 24)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return SecretPrefix + base64.StdEncoding.EncodeToString(raw), k.keys[0].Seal(nil, nil, raw, webhook[:]), nil
}

// open is the secret that was sealed.
func (k Keyring) open(webhook uuid.UUID, sealed []byte) (string, error) {
	for _, key := range k.keys {
		if raw, err := key.Open(nil, nil, sealed, webhook[:]); err == nil {
			return SecretPrefix + base64.StdEncoding.EncodeToString(raw), nil
		}
	}
	return "", ErrSealed
}
