package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

const (
	serverGroup  = "Which server, and as whom:"
	processGroup = "Of every command:"
)

// described orders the help of every verb: its own flags come first, then those that say which server, then those
// of every command; and its examples stand below what it does. It works on the parsed model, so a verb is still
// declared in one place.
func described(app *kong.Kong) error {
	server := map[string]bool{"url": true, "api-key": true, "workspace": true, "env-file": true, "admin-token": true}
	for _, flag := range app.Model.Flags {
		if flag.Name != "help" {
			flag.Group = &kong.Group{Key: "process", Title: processGroup}
		}
	}
	_ = kong.Visit(app.Model, func(node kong.Visitable, next kong.Next) error {
		if n, ok := node.(*kong.Node); ok {
			for _, flag := range n.Flags {
				if server[flag.Name] && flag.Group == nil {
					flag.Group = &kong.Group{Key: "server", Title: serverGroup}
				}
			}
			if lines := examples()[verbOf(n)]; n.Type == kong.CommandNode && len(lines) > 0 {
				n.Detail = strings.TrimSpace(n.Detail + "\n\nExamples:\n\n  " + strings.Join(lines, "\n  "))
			}
		}
		return next(nil)
	})
	return nil
}

// asked has `millrace help VERB` be `millrace VERB --help`.
func asked(args []string) []string {
	if len(args) == 0 || args[0] != "help" {
		return args
	}
	return append(slices.Clone(args[1:]), "--help")
}

// verbOf is the words of a command after the program's name.
func verbOf(n *kong.Node) string {
	if n.Parent == nil || n.Parent.Type == kong.ApplicationNode {
		return n.Name
	}
	return verbOf(n.Parent) + " " + n.Name
}

// examples are command lines that stand in the help of their verbs. A test parses them all.
func examples() map[string][]string {
	const search = `--strategy sma_cross --param fast=5:50:5 --param slow=20:200:10 --constraint "fast < slow"`
	return map[string][]string{
		"dev":                     {"millrace dev", "millrace dev --addr 127.0.0.1:9090 --data /tmp/trial"},
		"api":                     {"millrace api --addr 0.0.0.0:8080"},
		"worker":                  {"millrace worker --queues trials:8,tunes:2,wfo:1"},
		"tune":                    {"millrace tune --data sp500 " + search, "millrace tune --data sp500 " + search + " --oos 0.3 --objective calmar --max-drawdown 40", "millrace tune --data sp500 " + search + " --cash 100000 --commission 0.0005 --slippage 0.0002 --stop 8"},
		"wfo":                     {"millrace wfo --data sp500 " + search + " --train-days 1460 --test-days 365"},
		"ingest":                  {"millrace ingest notes/ paper.pdf https://example.com/article"},
		"watch":                   {"millrace watch 01900000-0000-7000-8000-000000000001"},
		"manifest":                {"millrace manifest 01900000-0000-7000-8000-000000000001"},
		"tearsheet":               {"millrace tearsheet 01900000-0000-7000-8000-000000000001"},
		"reproduce":               {"millrace reproduce 01900000-0000-7000-8000-000000000001"},
		"export":                  {"millrace export 01900000-0000-7000-8000-000000000001 tune.millrace"},
		"import":                  {"millrace import tune.millrace"},
		"cancel":                  {"millrace cancel 01900000-0000-7000-8000-000000000001"},
		"retry":                   {"millrace retry 01900000-0000-7000-8000-000000000001"},
		"delete":                  {"millrace delete dataset sp500@2 --dry-run", "millrace delete tune 01900000-0000-7000-8000-000000000001"},
		"archive":                 {"millrace archive tune 01900000-0000-7000-8000-000000000001", "millrace archive dataset sp500 --restore"},
		"tunes list":              {"millrace tunes list --status running", "millrace tunes list -o csv --limit 200"},
		"tunes show":              {"millrace tunes show 01900000-0000-7000-8000-000000000001 --top 20"},
		"tunes cancel":            {"millrace tunes cancel --filter status=queued --dry-run", "millrace tunes cancel --filter tag=night --confirm 120"},
		"tunes retry":             {"millrace tunes retry --filter status=failed --dry-run", "millrace tunes retry --filter tag=night --confirm 120"},
		"tunes delete":            {"millrace tunes delete --filter status=failed --filter older_than=30d --yes"},
		"tunes archive":           {"millrace tunes archive --filter older_than=90d --yes"},
		"tunes tag":               {"millrace tunes tag --filter strategy=sma_cross --yes baseline"},
		"strategies":              {"millrace strategies", "millrace strategies -o json"},
		"trades":                  {"millrace trades 01900000-0000-7000-8000-000000000001 -o csv"},
		"run":                     {"millrace run --data sp500 --strategy sma_cross --param fast=20 --param slow=100", "millrace run --data sp500 --strategy sma_cross --stop 10 --no-whole-units -o json"},
		"recommend":               {"millrace recommend --strategy sma_cross --data sp500", "millrace recommend --strategy sma_cross --data sp500 --max-drawdown 30 -o csv"},
		"explain":                 {"millrace explain 01900000-0000-7000-8000-000000000001", "millrace explain 01900000-0000-7000-8000-000000000001 --last -o json"},
		"schedules add":           {`millrace schedules add nightly --request tune.json --cron "30 6 * * 1-5" --time-zone America/New_York`, "millrace schedules add fresh --kind wfo --request wfo.json --on-new-bars sp500"},
		"schedules list":          {"millrace schedules list", "millrace schedules list -o json"},
		"schedules show":          {"millrace schedules show 01900000-0000-7000-8000-000000000001"},
		"schedules pause":         {"millrace schedules pause 01900000-0000-7000-8000-000000000001"},
		"schedules resume":        {"millrace schedules resume 01900000-0000-7000-8000-000000000001"},
		"schedules run":           {"millrace schedules run 01900000-0000-7000-8000-000000000001"},
		"schedules history":       {"millrace schedules history 01900000-0000-7000-8000-000000000001 --limit 5"},
		"schedules rm":            {"millrace schedules rm 01900000-0000-7000-8000-000000000001"},
		"webhooks add":            {"millrace webhooks add https://example.com/hooks --types backtest.tune.completed,wfo.run.*"},
		"webhooks list":           {"millrace webhooks list"},
		"webhooks show":           {"millrace webhooks show 01900000-0000-7000-8000-000000000001"},
		"webhooks pause":          {"millrace webhooks pause 01900000-0000-7000-8000-000000000001"},
		"webhooks resume":         {"millrace webhooks resume 01900000-0000-7000-8000-000000000001"},
		"webhooks rotate":         {"millrace webhooks rotate 01900000-0000-7000-8000-000000000001 --overlap 1h"},
		"webhooks test":           {"millrace webhooks test 01900000-0000-7000-8000-000000000001"},
		"webhooks deliveries":     {"millrace webhooks deliveries 01900000-0000-7000-8000-000000000001 --state retrying"},
		"webhooks redeliver":      {"millrace webhooks redeliver 01900000-0000-7000-8000-000000000001 evt_AAAAAQAAAAAAAAB7AAAAAAAQAAA"},
		"webhooks rm":             {"millrace webhooks rm 01900000-0000-7000-8000-000000000001"},
		"listen":                  {"millrace listen --forward http://127.0.0.1:9000/hooks --topics backtests"},
		"plans list":              {"millrace plans list --status running"},
		"plans show":              {"millrace plans show 01900000-0000-7000-8000-000000000001"},
		"data generate":           {"millrace data generate --bars 10000"},
		"data upload":             {"millrace data upload prices.csv --name spx --symbol SPX --timeframe 1d"},
		"data inspect":            {"millrace data inspect prices.csv"},
		"data list":               {"millrace data list"},
		"data append":             {"millrace data append spx new.csv"},
		"data versions":           {"millrace data versions spx"},
		"data describe":           {"millrace data describe spx"},
		"pine check":              {"millrace pine check means.pine"},
		"pine add":                {"millrace pine add means.pine"},
		"pine list":               {"millrace pine list"},
		"pine run":                {`millrace pine run means.pine --bars prices.csv --input "Fast Length=20"`},
		"pine tune":               {`millrace pine tune means.pine --dataset sp500 --param "Fast Length=5:50:5"`},
		"pine compare":            {"millrace pine compare means.pine trades.csv --bars prices.csv"},
		"kb judge":                {"millrace kb judge questions.jsonl"},
		"ask":                     {`millrace ask "When does a moving average crossover fail?"`},
		"demo":                    {"millrace demo"},
		"doctor":                  {"millrace doctor", "millrace doctor --json"},
		"admin workspace create":  {"millrace admin workspace create research --tune-cap 4"},
		"admin workspace list":    {"millrace admin workspace list"},
		"admin workspace usage":   {"millrace admin workspace usage research"},
		"admin workspace set":     {"millrace admin workspace set research --queue-depth 10000", "millrace admin workspace set research --trials-per-day 2000000 --bytes 20000000000"},
		"admin workspace delete":  {"millrace admin workspace delete research --dry-run"},
		"admin workspace reembed": {"millrace admin workspace reembed research"},
		"admin key create":        {"millrace admin key create research ci --role member --expires 720h"},
		"admin key list":          {"millrace admin key list research"},
		"admin key revoke":        {"millrace admin key revoke research ci"},
		"admin token create":      {"millrace admin token create ada --expires 2160h"},
		"admin token list":        {"millrace admin token list"},
		"admin token revoke":      {"millrace admin token revoke ada"},
		"admin audit list":        {"millrace admin audit list", "millrace admin audit list research --limit 200"},
		"admin fleet demand":      {"millrace admin fleet demand", "millrace admin fleet demand --queue trials"},
		"admin audit export":      {"millrace admin audit export research"},
		"admin audit verify":      {"millrace admin audit verify research"},
		"migrate up":              {"millrace migrate up --login millrace_server"},
		"migrate status":          {"millrace migrate status"},
		"bench":                   {"millrace bench"},
		"postgres":                {"millrace postgres -- go test ./store"},
		"config":                  {"millrace config", "millrace config --check api"},
		"probe":                   {"millrace probe http://127.0.0.1:8080/readyz"},
		"completion":              {"millrace completion bash", "millrace completion fish"},
		"version":                 {"millrace version"},
	}
}
