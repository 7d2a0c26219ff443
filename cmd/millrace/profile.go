package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// production is the profile in which a server that anybody could misuse does not start.
const production = "production"

// productionToken is how long an admin token has to be in production: 24 random bytes in base64.
const productionToken = 32

// check names everything that keeps an API server from starting under a profile.
func (f apiFlags) check(profile string) error {
	_, originsErr := f.origins(profile)
	_, proxiesErr := f.proxies()
	faults := []error{originsErr, proxiesErr, f.limitFlags.check(), checkToken(f.AdminToken, profile)}
	if profile == production && f.AdminToken == "" {
		faults = append(faults, errors.New("--admin-token (ADMIN_TOKEN) is not set: production needs one, as made by `openssl rand -hex 24`"))
	}
	return errors.Join(faults...)
}

// checkToken checks each admin token, if there are any.
func checkToken(token, profile string) error {
	least := 16
	if profile == production {
		least = productionToken
	}
	for _, one := range strings.Fields(token) {
		if len(one) < least {
			return fmt.Errorf("--admin-token (ADMIN_TOKEN) has %d characters: %s needs %d at least", len(one), profile, least)
		}
	}
	return nil
}

// origins are the sites whose pages may call the API, as browsers write them.
func (f apiFlags) origins(profile string) ([]string, error) {
	bad := func(format string, args ...any) ([]string, error) {
		return nil, fmt.Errorf("--cors-origins (CORS_ORIGINS): "+format, args...)
	}
	given := slices.DeleteFunc(slices.Clone(f.CORSOrigins), func(text string) bool { return strings.TrimSpace(text) == "" })
	switch {
	case len(given) == 0 && profile == production:
		return bad("is not set: name the sites whose pages may call the API, as in https://app.example.com, or none")
	case len(given) == 1 && given[0] == "none":
		return nil, nil
	case slices.Contains(given, "*") && (profile == production || len(given) > 1):
		return bad("* stands for every site; it stands alone, and not in production")
	case slices.Contains(given, "*"):
		return given, nil
	}
	origins := make([]string, len(given))
	for i, text := range given {
		origin, ok := originOf(text)
		if !ok {
			return bad("%q is not an origin such as https://app.example.com", text)
		}
		if profile == production && origin.Scheme == "http" && !loopback(origin.Hostname()) {
			return bad("%q is not https: in production an eavesdropper could speak for it", text)
		}
		origins[i] = origin.String()
	}
	return origins, nil
}

// originOf reads an origin: a scheme and a host, and the port unless it is the scheme's own.
func originOf(text string) (*url.URL, bool) {
	u, err := url.Parse(strings.ToLower(strings.TrimSpace(text)))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, false
	}
	if u.Host = strings.TrimSuffix(u.Host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme]); strings.ContainsAny(u.Host, "*? ") {
		return nil, false
	}
	return u, *u == url.URL{Scheme: u.Scheme, Host: u.Host}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// docs reports whether the API's document is served.
func (f apiFlags) docs(profile string) bool {
	if f.Docs != nil {
		return *f.Docs
	}
	return profile != production
}

// check names the limits that are none.
func (f limitFlags) check() error {
	var faults []error
	for _, limit := range []struct {
		name string
		most int
	}{
		{"submissions", f.LimitSubmissions}, {"queue-depth", f.LimitQueueDepth}, {"uploads", f.LimitUploads},
		{"queries", f.LimitQueries}, {"address-queries", f.LimitAddressQueries}, {"logins", f.LimitLogins},
	} {
		if limit.most < 0 {
			faults = append(faults, fmt.Errorf("--limit-%s (LIMIT_%s) is %d: 0 lifts the limit, and less is none",
				limit.name, strings.ToUpper(strings.ReplaceAll(limit.name, "-", "_")), limit.most))
		}
	}
	return errors.Join(faults...)
}

// check names everything that keeps an API server from starting under a profile, but for what it connects to.
func (c apiCmd) check(profile string) error {
	return errors.Join(c.apiFlags.check(profile), c.tlsFlags.check(), c.openIDFlags.check(c.AdminToken), c.knowledgeFlags.check(), c.webhookFlags.check(), c.telemetryFlags.check(), c.reloadFlags.check())
}

// check names everything that keeps a worker from starting under a profile, but for what it connects to.
func (c workerCmd) check(profile string) error {
	return errors.Join(c.workerFlags.check(), c.knowledgeFlags.check(), c.webhookFlags.check(), c.telemetryFlags.check(), c.reloadFlags.check(),
		limitFlags{LimitQueueDepth: c.LimitQueueDepth}.check(), checkToken(c.AdminToken, profile))
}

func (f workerFlags) check() error {
	_, slotsErr := f.slots()
	faults := []error{slotsErr}
	if f.Drain < 0 {
		faults = append(faults, fmt.Errorf("--drain (MILLRACE_DRAIN) is %s: it must not be below 0", f.Drain))
	}
	if f.ShardTime <= 0 {
		faults = append(faults, fmt.Errorf("--shard-time (MILLRACE_SHARD_TIME) is %s: it must be above 0", f.ShardTime))
	}
	_, fetchErr := f.fetchOptions()
	if f.PDFPages < 1 || f.PDFTimeout <= 0 {
		faults = append(faults, errors.New("--pdf-pages (PDF_MAX_PAGES) and --pdf-timeout (PDF_TIMEOUT) must be above 0"))
	}
	_, recognizerErr := f.recognizer()
	return errors.Join(append(faults, fetchErr, recognizerErr, f.retentionFlags.check())...)
}

// check is whether a database is named.
func (f databaseFlags) check() error {
	if f.DatabaseURL == "" {
		return errors.New("DATABASE_URL is not set: name the Postgres to use, or run `millrace dev`")
	}
	return nil
}

// check names the figures of the knowledge base that are none.
func (f knowledgeFlags) check() error {
	var faults []error
	if f.EmbedderDimensions < 0 {
		faults = append(faults, fmt.Errorf("--embedder-dimensions (EMBEDDER_DIMENSIONS) is %d: it must not be below 0", f.EmbedderDimensions))
	}
	if f.LLMTime <= 0 {
		faults = append(faults, fmt.Errorf("--llm-timeout (LLM_TIMEOUT) is %s: it must be above 0", f.LLMTime))
	}
	if f.TextMemory < 1 || f.TextMemory > 1<<30 {
		faults = append(faults, fmt.Errorf("--text-memory (MILLRACE_TEXT_MEMORY_MB) is %d: it must be from 1 to %d", f.TextMemory, 1<<30))
	}
	if f.VectorMemory < 1 || f.VectorMemory > 1<<30 {
		faults = append(faults, fmt.Errorf("--vector-memory (MILLRACE_VECTOR_MEMORY_MB) is %d: it must be from 1 to %d", f.VectorMemory, 1<<30))
	}
	_, embedderErr := f.embedder()
	_, llmErr := f.llm()
	_, rerankerErr := f.reranker()
	return errors.Join(append(faults, embedderErr, llmErr, rerankerErr)...)
}

// checked is a mistake in the configuration, if there is any.
func checked(faults ...error) error {
	if err := errors.Join(faults...); err != nil {
		return configError{err}
	}
	return nil
}

// serverProblems are what would keep an API server, or a worker, from starting with the variables
// that are set here.
func serverProblems(verb string, database bool) (profile string, err error) {
	var cli commands
	parser, err := kong.New(&cli, kong.Name("millrace"), kong.Resolvers(secretFiles{os.LookupEnv}))
	if err != nil {
		return "", err
	}
	if _, err := parser.Parse([]string{verb}); err != nil {
		return cli.Profile, withVariable(parser.Model.Node, err)
	}
	db, faults := cli.API.databaseFlags, cli.API.check(cli.Profile)
	if verb == "worker" {
		db, faults = cli.Worker.databaseFlags, cli.Worker.check(cli.Profile)
	}
	if database {
		faults = errors.Join(db.check(), faults)
	}
	return cli.Profile, faults
}

// withVariable adds the variable to a message that begins with a flag and does not name it. Of a verb that was found it is
// the verb's own flag: another's of the same name may have a variable where it has none.
func withVariable(root *kong.Node, err error) error {
	message := err.Error()
	flag := message[:len(message)-len(strings.TrimLeft(message, "-abcdefghijklmnopqrstuvwxyz"))]
	for _, s := range settingsOf(root, err) {
		if s.Flag == flag && !strings.Contains(message, s.Variable) {
			return fmt.Errorf("%s (%s)%s", flag, s.Variable, strings.TrimPrefix(message, flag))
		}
	}
	return err
}

// settingsOf are those of the verb that a command line names, and of every command; of none the settings of all.
func settingsOf(root *kong.Node, err error) []setting {
	failed := new(kong.ParseError)
	if !errors.As(err, &failed) || failed.Context.Selected() == nil {
		return settings(root)
	}
	all := settings(&kong.Node{Flags: root.Flags})
	for node := failed.Context.Selected(); node != nil && node != root; node = node.Parent {
		all = append(all, settings(node)...)
	}
	return all
}
