// Command millrace is the whole of Millrace: the servers, the fleet and the client, one verb each.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/ops"
	"millrace/ops/telemetry"
)

// gitSHA and buildTime are set by the linker.
var gitSHA, buildTime = "dev", "unknown"

// engine is the number of the rules that results are stamped with. The linker sets another one where a
// test needs a fleet with two: -ldflags '-X main.engine=…'.
var engine = backtest.Engine

// numbers are those of this program's rules.
func numbers() backtest.Stamp { return backtest.Stamp{Engine: engine, Semantics: pine.Semantics} }

// commands are the verbs.
type commands struct {
	LogLevel  slog.Level `default:"info" env:"MILLRACE_LOG" help:"Least level that is logged: debug, info, warn, error."`
	LogFormat string     `default:"text" enum:"text,json" env:"MILLRACE_LOG_FORMAT" help:"Form of the log: text (key=value) or json."`
	Profile   string     `default:"development" enum:"development,production" env:"CONFIG_PROFILE" help:"What the process insists on: development, or production, which needs a long admin token and CORS_ORIGINS."`
	reportFlags

	Dev    devCmd    `cmd:"" help:"Run everything in one process, with a Postgres of its own."`
	API    apiCmd    `cmd:"" name:"api" help:"Serve HTTP."`
	Worker workerCmd `cmd:"" help:"Work the queues."`

	Tune       tuneCmd       `cmd:"" help:"Submit a tune, follow it and print its leaderboard."`
	WFO        wfoCmd        `cmd:"" name:"wfo" help:"Submit a walk-forward, follow it and print its candidates."`
	Ingest     ingestCmd     `cmd:"" help:"Ingest files, folders and addresses into the knowledge base, and follow them."`
	Watch      watchCmd      `cmd:"" help:"Follow a tune, walk-forward or ingestion."`
	Manifest   manifestCmd   `cmd:"" help:"Print what a tune, a walk-forward or a run was made of."`
	Tearsheet  tearsheetCmd  `cmd:"" help:"Print a tune, a walk-forward or a run as an HTML page of its own: millrace tearsheet ID > file.html."`
	Reproduce  reproduceCmd  `cmd:"" help:"Make a stored result again in this process, and compare the bytes."`
	Export     exportCmd     `cmd:"" help:"Write a result with its data in one file."`
	Import     importCmd     `cmd:"" help:"Check a file of export, submit what it holds here, and compare the results."`
	Cancel     cancelCmd     `cmd:"" help:"Cancel a tune, walk-forward, run plan or ingestion."`
	Retry      retryCmd      `cmd:"" help:"Run a tune, walk-forward, run plan or ingestion again that failed or was cancelled; what it has found stays."`
	Delete     deleteCmd     `cmd:"" help:"Delete a tune, walk-forward, plan, run, dataset, document or strategy."`
	Archive    archiveCmd    `cmd:"" help:"Take something out of the lists, or put it back; it stays as it is."`
	Tunes      tunesCmd      `cmd:"" help:"List tunes, print one, or change all that a filter finds."`
	Plans      plansCmd      `cmd:"" help:"List run plans, or print one."`
	Schedules  schedulesCmd  `cmd:"" help:"Submit work again and again, by a cron line or at new bars, and see what changed."`
	Strategies strategiesCmd `cmd:"" help:"List the strategies that tunes may name, with their parameters."`
	Webhooks   webhooksCmd   `cmd:"" help:"Have events posted to addresses, and see how that goes."`
	Listen     listenCmd     `cmd:"" help:"Post events to an address of this machine, signed as webhooks are, for development."`
	Trades     tradesCmd     `cmd:"" help:"Print the trades of a run."`
	Run        runCmd        `cmd:"" help:"Run one backtest and print its figures."`
	Recommend  recommendCmd  `cmd:"" help:"Print parameters that did well in such a market before."`
	Explain    explainCmd    `cmd:"" help:"Explain a tune's result in words."`
	Data       dataCmd       `cmd:"" help:"Generate, upload and list OHLCV data."`
	Pine       pineCmd       `cmd:"" help:"Check Pine scripts, and keep them as strategies."`
	KB         kbCmd         `cmd:"" name:"kb" help:"Measure the knowledge base."`
	Ask        askCmd        `cmd:"" help:"Ask the knowledge base a question."`
	Demo       demoCmd       `cmd:"" help:"Run dev with the bundled sample and a tune; DEMO_EXIT=1 stops at its end."`

	Doctor     doctorCmd     `cmd:"" help:"Look at every component and say what to do; the exit status is 1 unless all is well."`
	Admin      adminCmd      `cmd:"" help:"Manage workspaces and their keys."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the database's schema to this version, or show where it is."`
	Bench      benchCmd      `cmd:"" help:"Measure what this machine does: the engine, a tune through the whole service, submissions and jobs, beside pgbench and bare River."`
	Postgres   postgresCmd   `cmd:"" help:"Run a command beside a private Postgres."`
	Config     configCmd     `cmd:"" help:"Show every variable that the program reads, and what it is here."`
	Probe      probeCmd      `cmd:"" help:"Ask an address whether it is well."`
	Extract    extractCmd    `cmd:"" name:"extract-child" hidden:"" help:"Read files for a worker, as its child."`
	Recognize  recognizeCmd  `cmd:"" name:"recognize-child" hidden:"" help:"Run a program that recognises text, and end it with the worker."`
	Completion completionCmd `cmd:"" help:"Print a script that completes verbs and flags in a shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// environment is what every verb gets: where to write.
type environment struct {
	stdout, stderr io.Writer
	logger         *slog.Logger
	profile        string
	report         reportFlags
	level          *slog.LevelVar       // of the logger
	exports        *telemetry.Telemetry // of this process, once it is started; nil: none
	reload         *reloader            // of a server that reloads; nil: it does not
	awaits         *awaiting            // what this process waits for before it starts
}

func (*environment) version() string { return gitSHA + " " + buildTime }

func main() {
	ctx, stop := withHangups(context.Background())
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run parses and runs one command. It returns the exit status: 1 for a failure, 2 for a mistake in
// the command line or the configuration.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cli commands
	parser, err := kong.New(&cli, kong.Name("millrace"), kong.Writers(stdout, stderr), kong.Resolvers(secretFiles{os.LookupEnv}), kong.PostBuild(described),
		kong.Description("Tunes, walk-forwards and knowledge for trading research, run durably."))
	if err != nil {
		fmt.Fprintln(stderr, "millrace:", err)
		return 2
	}
	parsed, err := parser.Parse(asked(args))
	if err != nil {
		fmt.Fprintln(stderr, "millrace:", withVariable(parser.Model.Node, err))
		return 2
	}
	level := &slog.LevelVar{}
	level.Set(cli.LogLevel)
	env := &environment{
		stdout: stdout, stderr: stderr, logger: ops.NewLogger(stderr, level, cli.LogFormat == "text"), level: level,
		profile: cli.Profile, report: cli.reportFlags, awaits: &awaiting{},
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(env)
	asFlags(parsed.Selected(), err)
	var config configError
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &config):
		fmt.Fprintln(stderr, "millrace:", err)
		return 2
	}
	fmt.Fprintln(stderr, "millrace:", err)
	return 1
}

// versionCmd is the verb `version`.
type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(env *environment) error {
	_, err := fmt.Fprintln(env.stdout, "millrace", env.version())
	return err
}
