package console_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/jobs/worker/ingestion/sandbox"
	"millrace/ops/program"
)

//go:embed testdata/axe.min.js
var axeJS string

// browser is a window of a real Chromium with a profile of its own, logged in nowhere.
type browser struct {
	t      testing.TB
	ctx    context.Context
	site   *site
	mu     sync.Mutex
	errors []string // of scripts, and of the content security policy
}

// chromium is the one process that all tests share.
var chromium struct {
	once sync.Once
	ctx  context.Context
	err  error
	stop func()
}

func TestMain(m *testing.M) {
	if sandbox.IsChild(os.Args) { // of a worker that a test has started
		os.Exit(sandbox.Main())
	}
	chromium.stop = func() {}
	code := m.Run()
	chromium.stop()
	os.Exit(code)
}

func startChromium(path string) {
	profile, err := os.MkdirTemp("", "millrace-chromium")
	if err != nil {
		chromium.err = err
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.WSURLReadTimeout(time.Minute))
	allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	chromium.ctx = ctx
	chromium.err = chromedp.Do(ctx) // starts it: the browser lives as long as this context
	chromium.stop = func() { _ = chromedp.Cancel(ctx); cancel(); free(); _ = os.RemoveAll(profile) }
}

func (s *site) openBrowser() *browser {
	t := s.t
	t.Helper()
	path := program.Find(t, "chromium", "chromium", "chromium-browser", "google-chrome", "chrome")
	chromium.once.Do(func() { startChromium(path) })
	require.NoError(t, chromium.err)
	b := &browser{t: t, site: s}
	var cancel context.CancelFunc
	b.ctx, cancel = chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	t.Cleanup(func() { _ = chromedp.Cancel(b.ctx); cancel() })
	require.NoError(t, chromedp.Do(b.ctx))
	b.call(func(ctx context.Context) error { _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); return err })
	return b
}

// hear keeps what went wrong in a page.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && (e.Entry.Source == log.EntrySourceSecurity || e.Entry.Source == log.EntrySourceJavascript) {
			b.errors = append(b.errors, e.Entry.Text)
		}
	}
}

// call does something that may take a minute: tests of other packages share the machine and the database.
func (b *browser) call(do func(context.Context) error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	require.NoError(b.t, do(ctx))
}

// run does what a person does. A step whose element an event replaced between its finding and its use has done nothing, and finds it
// again.
func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, step := range steps {
		b.call(func(ctx context.Context) error {
			for {
				if err := chromedp.Do(ctx, step); !replaced(err) || ctx.Err() != nil {
					return err
				}
			}
		})
	}
}

// replaced reports whether a step's element was no longer in the page.
func replaced(err error) bool {
	from := new(cdproto.Error)
	return errors.As(err, &from) && from.Message == "Could not find node with given id"
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.site.url+path), chromedp.WaitReady(chromedp.CSS("main")))
}

func (b *browser) logIn() {
	b.t.Helper()
	b.open("/admin/login")
	b.run(chromedp.SendKeys(chromedp.CSS("#token"), adminToken), chromedp.Click(chromedp.CSS("button.primary")), chromedp.WaitReady(chromedp.CSS("#content")))
}

// eval runs a script in the page.
func eval[T any](b *browser, script string) T {
	b.t.Helper()
	var v T
	b.call(func(ctx context.Context) (err error) {
		v, err = chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
		return err
	})
	return v
}

// until waits for a script's value to be true, over a change of the page too.
func (b *browser) until(script string) {
	b.t.Helper()
	b.call(func(ctx context.Context) error {
		every := time.NewTicker(50 * time.Millisecond)
		defer every.Stop()
		for {
			is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+script+")"))
			if is && err == nil {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("never true: %s: %w\n%s", script, errors.Join(ctx.Err(), err), b.seen())
			case <-every.C:
			}
		}
	})
}

// leave does what leads to another page, and waits for that, whatever both look like.
func (b *browser) leave(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	eval[int](b, `window.left = true; 0`)
	b.run(steps...)
	b.until(`!window.left && document.readyState === "complete"`)
}

// seen is what the page says, for a test that failed.
func (b *browser) seen() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 2000)`))
	return fmt.Sprintln(said, err)
}

// live waits until the page follows the stream.
func (b *browser) live() {
	b.t.Helper()
	b.until(`document.querySelector("[data-stream]")?.dataset.state === "live"`)
}

func (b *browser) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.textContent ?? ""`, selector))
}

// looks are how a page is looked at: on a telephone by day and on a desk by night. Between them they
// show every rule of the style sheet. What depends on width and colours is checked in both, the rest
// once, where everything is shown.
var looks = []struct {
	width  int64
	scheme string
	rules  string // of axe-core
}{
	{400, "light", `["color-contrast", "scrollable-region-focusable", "target-size"]`},
	{1280, "dark", `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]`},
}

// looksRight takes the page's picture and checks it: something is drawn, nothing sticks out
// sideways, axe finds nothing serious, no script failed and nothing was refused by the content
// security policy.
func (b *browser) looksRight(name string) {
	b.t.Helper()
	for _, look := range looks {
		var shot []byte
		b.resize(look.width)
		b.call(func(ctx context.Context) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: look.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
			}})
			if err == nil {
				shot, err = chromedp.Run(ctx, chromedp.FullScreenshot(100))
			}
			return err
		})
		b.keep(fmt.Sprintf("%s-%d-%s.png", name, look.width, look.scheme), shot)
		if overflow := eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); overflow > 0 {
			wide := eval[string](b, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.parentElement.closest(".scroll")).slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join("\n")`)
			b.t.Errorf("%s at %d: %d pixels stick out:\n%s", name, look.width, overflow, wide)
		}
		b.accessible(fmt.Sprintf("%s at %d, %s", name, look.width, look.scheme), look.rules)
	}
	b.wellWorded(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.errors, name)
}

// fits checks that tables show whole at the page's width, without being scrolled sideways.
func (b *browser) fits(tables ...string) {
	b.t.Helper()
	for _, table := range tables {
		cut := eval[int](b, fmt.Sprintf(`(() => { const box = document.querySelector(%q).closest(".scroll"); return box.scrollWidth - box.clientWidth; })()`, table))
		require.Zero(b.t, cut, "%s is cut: %d pixels of it do not show", table, cut)
	}
}

var (
	retiredLabels = regexp.MustCompile(`(?im)(what|nothing) broke|nothing runs|see reasons|` +
		`found out by itself|^(made|make)$|\tmade\t|unless you say|look again|looked at|leave out folds|rank 1 in it|surface of two|best candidate “?–|\(limit: .*,`)
	oneOfMany = regexp.MustCompile(`(^|[^\d.,\x{a0}\x{202f}])1 (bars|batches|chunks|days|documents|events|files|folds|jobs|keys|rows|shards|slots|sources|trials|tunes|variants|workers)\b`)
)

// wellWorded checks that a page uses the labels of the field and the singular for one.
func (b *browser) wellWorded(name string) {
	b.t.Helper()
	text := eval[string](b, `document.body.innerText`)
	require.Empty(b.t, retiredLabels.FindAllString(text, -1), "%s has labels that were replaced", name)
	require.Empty(b.t, oneOfMany.FindAllString(text, -1), "%s counts one with a plural", name)
}

// resize makes the window as wide as a telephone or a desk.
func (b *browser) resize(width int64) {
	b.t.Helper()
	b.call(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 600,
		})
		return err
	})
}

// keep checks that a picture shows something and writes it where SCREENSHOTS says.
func (b *browser) keep(name string, shot []byte) {
	b.t.Helper()
	picture, err := png.Decode(bytes.NewReader(shot))
	require.NoError(b.t, err, name)
	colours := map[color.Color]bool{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y += 7 {
		for x := bounds.Min.X; x < bounds.Max.X; x += 7 {
			colours[picture.At(x, y)] = true
		}
	}
	require.Greater(b.t, len(colours), 8, "%s is blank", name)
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = b.site.pictures
	}
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name), shot, 0o644))
}

// accessible asks axe-core about the page.
func (b *browser) accessible(name, rules string) {
	b.t.Helper()
	if !eval[bool](b, `typeof axe === "object"`) {
		eval[int](b, axeJS+`;0`)
	}
	// From the top, where the page's head hides nothing. The rows of a long table are alike: its first ones stand for all.
	found := eval[string](b, `scrollTo(0, 0), axe.run({exclude: [[".chart rect"], [".chart path"], ["tbody tr:nth-child(n+26)"]]}, {resultTypes: ["violations"], runOnly: `+rules+`}).then(r => JSON.stringify(
		r.violations.filter(v => v.impact === "serious" || v.impact === "critical").map(v => v.id + ": " + v.help + "\n  " + v.nodes.slice(0, 4).map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).join("\n  "))))`)
	var faults []string
	require.NoError(b.t, json.Unmarshal([]byte(found), &faults))
	if len(faults) > 0 {
		b.t.Errorf("%s is not accessible:\n%s", name, strings.Join(faults, "\n"))
	}
}
