package conventions_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// consoleFeatures are the rows of the table of ops/docs/console.md: what peers of the console show.
var consoleFeatures = []string{
	"live progress that survives a kill", "best-so-far history", "parameter importance, slice, parallel coordinates", "two-parameter map with numeric legend",
	"in sample against out of sample", "DSR, PBO, PSR, stability", "walk-forward folds, stitched curve", "values under the pointer on every chart", "zoom, pan, save image",
	"log scale", "trades on price, indicators", "trade list on the page", "benchmark on the page", "monthly returns, rolling Sharpe, worst drawdowns", "open one trial",
	"notes, tags, names on a study", "sort, filter, choose columns; CSV from the page", "compare studies", "dark, 400 px",
}

// consoleLabels are the labels and messages that were replaced, and the tests that hold what stands for them.
var consoleLabels = map[string][]string{
	"headings of pages, one of many":  {"TestEveryPageMakesSenseWhileEmpty", "TestATuneIsSubmittedAndWatched", "TestAWalkForwardIsSubmittedAndWatched", "TestARetentionJobIsRunDry"},
	"No trial met the limits":         {"TestATuneWithoutSurvivorsIsRunAgainWithRelaxedLimits", "TestATuneWithoutSurvivorsExitsNonZeroAndNamesTheFlags"},
	"#1 in tune":                      {"TestATrialIsOpenedAndItsChartsAreRead"},
	"Parameter heat map":              {"TestATuneIsExplored"},
	"singular":                        {"TestExtremeResultsMakeWholePages"},
	"This key expired on DATE":        {"TestAnExpiredKeyIsRefusedWithItsDate", "TestAKeyThatDoesNotSignInSaysWhy"},
	"A workspace named X exists":      {"TestAWorkspaceIsMadeAndChanged"},
	"The knowledge base is empty":     {"TestAnEmptyKnowledgeBaseSaysSo"},
	"choose from a, b, c":             {"TestAProblemIsATypedErrorThatNamesItsFields"},
	"fields are named as their flags": {"TestErrorsOfTheServerNameFlags"},
}

// consoleFaults are the faults that a person met, and the tests that fail when they come back.
var consoleFaults = map[string][]string{
	"two documents of one name":                  {"TestTwoFilesOfTheSameNameAreTwoDocuments", "TestAFolderAndAFileInItAreTheSameDocument"},
	"the first tune gives nothing":               {"TestTheReadmesCommandsRun", "TestTheFirstTuneIsTwoButtonsAway", "TestATuneWithoutSurvivorsExitsNonZeroAndNamesTheFlags"},
	"best first is the order of numbers":         {"TestATuneWithoutSurvivorsNamesTheLimitsThatAdmitTheNearest"},
	"figures of one screen differ":               {"TestATuneIsSubmittedAndWatched", "TestProgressIsNotWholeWhilePermutationsRun"},
	"a limit is waited for in silence":           {"TestTheCallerLearnsAtOnceThatALimitIsWaitedFor"},
	"doctor does not see the configuration":      {"TestDoctorSeesTheConfiguration"},
	"a deletion asks what a dry run asks":        {"TestARetentionJobIsRunDry"},
	"examples of the document are wrong":         {"TestTheDocumentsExamplesRun"},
	"pages that are not there are raw JSON":      {"TestEveryPageMakesSenseWhileEmpty", "TestAPageThatIsNotThereShowsStrangersNoWorkspace"},
	"equity falls back out of sample":            {"TestATrialIsOpenedAndItsChartsAreRead", "TestJoinedPartsContinue"},
	"two series share a colour":                  {"TestATrialIsOpenedAndItsChartsAreRead"},
	"names of 200 characters, 40 parameters":     {"TestExtremeResultsMakeWholePages"},
	"a zoom is lost with the stream":             {"TestAZoomStaysWhenTheStreamIsLost"},
	"a running tune's best is four clicks away":  {"TestAViewerIsFourClicksFromTheTradesOfARunningTune"},
	"a trial of another workspace":               {"TestExtremeResultsMakeWholePages", "TestAPersonsSessionNamesNoOtherWorkspace"},
	"a role that may not":                        {"TestAViewerWatchesARunningTune", "TestAPersonSeesAndDoesWhatTheRoleOfTheKeyAllows", "TestEveryRouteIsClosedToWhomItIsNotFor"},
	"a tune whose objective is nowhere defined":  {"TestExtremeResultsMakeWholePages", "TestATuneWithoutATradeCompletesWithReasons"},
	"a plot of a million bars or of many lines":  {"TestReductionKeepsEveryLinesExtremes", "TestAPlotOfManyLinesStaysSmall"},
	"scripts of the console grow beyond a limit": {"TestScriptsAndStylesStaySmall"},
}

// Every row of the console's table has a yes and names tests that there are; so does every label and fault that was met.
func TestTheConsolesTableNamesTestsThatThereAre(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	require.NoError(t, filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(at, "_test.go") {
			return err
		}
		body, err := os.ReadFile(at)
		for _, found := range declared.FindAllStringSubmatch(string(body), -1) {
			there[found[1]] = true
		}
		return err
	}))
	body, err := os.ReadFile(filepath.Join(root, "ops/docs/console.md"))
	require.NoError(t, err)
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \| yes \| (.+) \|$`).FindAllStringSubmatch(string(body), -1) {
		rows[row[1]] = row[2]
	}
	require.Len(t, rows, len(consoleFeatures))
	named := regexp.MustCompile("`(Test\\w+)`")
	for _, feature := range consoleFeatures {
		tests := named.FindAllStringSubmatch(rows[feature], -1)
		require.NotEmpty(t, tests, "%s: no test holds it", feature)
		for _, test := range tests {
			require.True(t, there[test[1]], "%s: there is not a test %s", feature, test[1])
		}
	}
	for _, held := range []map[string][]string{consoleLabels, consoleFaults} {
		for what, tests := range held {
			for _, test := range tests {
				require.True(t, there[test], "%s: there is not a test %s", what, test)
			}
		}
	}
}
