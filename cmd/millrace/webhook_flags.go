package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"millrace/jobs/worker/webhook"
	"millrace/ops"
	"millrace/ops/publicnet"
	"millrace/store/webhooks"
)

// webhookFlags are the settings of webhooks, of servers and workers alike.
type webhookFlags struct {
	WebhookKey      string   `env:"WEBHOOK_KEY" help:"Key that seals the secrets of webhooks, 16 characters at least; unset, there are no webhooks. The same for api and worker. While one is replaced, several are separated by blanks or lines: the first seals, and all open."`
	WebhookNetworks []string `env:"WEBHOOK_ALLOW_NETWORKS" placeholder:"CIDR" help:"Networks that webhooks may post to though they are not public, as in 10.1.0.0/16 or 127.0.0.0/8."`
	WebhookPorts    []uint16 `env:"WEBHOOK_ALLOW_PORTS" placeholder:"PORT" help:"Ports that webhooks may post to, beside 80 and 443."`
}

func (f webhookFlags) check() error {
	_, keysErr := f.keyring()
	_, guardErr := f.guard()
	return errors.Join(keysErr, guardErr)
}

func (f webhookFlags) keyring() (webhooks.Keyring, error) {
	keys, err := webhooks.NewKeyring(strings.Fields(f.WebhookKey)...)
	if err != nil {
		return keys, fmt.Errorf("--webhook-key (WEBHOOK_KEY): %w", err)
	}
	return keys, nil
}

func (f webhookFlags) guard() (*publicnet.Guard, error) {
	options := publicnet.Options{AllowPorts: f.WebhookPorts}
	for _, text := range f.WebhookNetworks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--webhook-networks (WEBHOOK_ALLOW_NETWORKS): %q is not a network such as 10.1.0.0/16", text)
		}
		options.AllowNetworks = append(options.AllowNetworks, network.Masked())
	}
	return publicnet.New(options), nil
}

// options are those of the workers, but for their stores.
func (f webhookFlags) options(env *environment, metrics *ops.Metrics) (webhook.Options, error) {
	keys, keysErr := f.keyring()
	guard, guardErr := f.guard()
	return webhook.Options{Keys: keys, Guard: guard, Metrics: metrics, Logger: env.logger}, checked(keysErr, guardErr)
}

// keep takes the key from a file of the folder where none is set, and makes it if there is none: dev's webhooks
// work without a setting, and after a restart.
func (f *webhookFlags) keep(folder string) error {
	if f.WebhookKey != "" {
		return nil
	}
	file := filepath.Join(folder, "webhook.key")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(randomToken())
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("the key of webhooks: %w", err)
	}
	f.WebhookKey = strings.TrimSpace(string(text))
	return nil
}
