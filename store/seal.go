package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
)

// seal makes of a response's body what is stored of it. Under a seal, what is stored says nothing to a reader of the
// database, and cannot be moved to another key.
func seal(sub Submission, body []byte) ([]byte, error) {
	if sub.Seal == nil {
		return body, nil
	}
	aead, err := sealer(sub)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	return aead.Seal(nonce, nonce, body, sealed(sub)), nil
}

// unseal is the reverse. ErrKeyReused where another caller's seal is on it.
func unseal(sub Submission, stored []byte) ([]byte, error) {
	if sub.Seal == nil || stored == nil {
		return stored, nil
	}
	aead, err := sealer(sub)
	if err != nil {
		return nil, err
	}
	if len(stored) < aead.NonceSize() {
		return nil, fmt.Errorf("key %q: %w", sub.Key, ErrKeyReused)
	}
	body, err := aead.Open(nil, stored[:aead.NonceSize()], stored[aead.NonceSize():], sealed(sub))
	if err != nil { // it was not this caller who got it
		return nil, fmt.Errorf("key %q of another caller: %w", sub.Key, ErrKeyReused)
	}
	return body, nil
}

func sealer(sub Submission) (cipher.AEAD, error) {
	block, err := aes.NewCipher(sub.Seal[:])
	if err != nil {
		return nil, fmt.Errorf("seal response: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal response: %w", err)
	}
	return aead, nil
}

// sealed is what a sealed response belongs to.
func sealed(sub Submission) []byte {
	return []byte(sub.Workspace.String() + " " + sub.Route + " " + sub.Key)
}
