package knowledge

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// meanings knows a few words. Those in the same group mean the like.
type meanings []string

func (m meanings) Meaning(word string) []int32 {
	v := make([]int32, len(m))
	for i, group := range m {
		if strings.Contains(" "+group+" ", " "+word+" ") {
			v[i] = 1
			return v
		}
	}
	return nil
}

var known = meanings{"buy purchase", "coins currencies", "weather"}

func TestWordsThatMeanTheLikeAreFound(t *testing.T) {
	t.Parallel()
	p := matches(passages("The desk closes at noon. A purchase of digital currencies needs two keys. The weather was fine."))
	text, _ := extract("Who may buy coins?", p, known)
	require.Equal(t, "“A purchase of digital currencies needs two keys.” [1]", text)
	text, _ = extract("Who may buy coins?", p, nil)
	require.Equal(t, "“The desk closes at noon.” [1]", text, "without a lexicon that knows them none is like another")
}

func TestRowsOfATableDifferByNames(t *testing.T) {
	t.Parallel()
	greek := meanings{"alpha beta gamma", "fee"}
	p := matches(passages("| venue | maker fee | taker fee |\n|---|---|---|\n| Beta | 0.00 % | 0.09 % |\n| Gamma | 0.01 % | 0.04 % |"))
	text, _ := extract("taker fee of Beta", p, greek)
	require.Contains(t, text, "Beta | 0.00 %")
	require.NotContains(t, text, "Gamma")
	text, _ = extract("taker fee of Beta", matches(passages("The taker fee is low there. Gamma takes 4 cents.")), greek)
	require.Contains(t, text, "Gamma", "a sentence may say it of what is like it")
}

func TestAWordWithADigitIsOnlyLikeItself(t *testing.T) {
	t.Parallel()
	symbols := meanings{"sym375 sym376 sym377", "2019 2020"}
	p := matches(passages("| Symbol | Currency |\n|---|---|\n| SYM375 | USD |\n| SYM376 | EUR |\n| SYM377 | JPY |"))
	text, _ := extract("Which currency is SYM377 in?", p, symbols)
	require.Contains(t, text, "SYM377 | JPY")
	require.NotContains(t, text, "SYM375")
	require.NotContains(t, text, "SYM376")
	text, _ = extract("fees of 2019", matches(passages("In 2020 it was 4 percent. In 2019 it was 5 percent.")), symbols)
	require.Equal(t, "“In 2019 it was 5 percent.” [1]", text)
	require.Equal(t, []float64{akinShare}, newLikeness(nil, "postgres16").near("postgr", "postgres"), "a name and its version")
	require.Equal(t, []float64{0}, newLikeness(nil, "SYM3750").near("sym3751", "sym3751"), "nor by its letters")
}

// slanted knows two words whose directions have that cosine.
type slanted float64

func (s slanted) Meaning(word string) []int32 {
	if word == "rain" {
		return []int32{int32(1e6 * s), int32(1e6 * math.Sqrt(1-float64(s*s)))}
	}
	return []int32{3, 0}
}

func TestWordsCountByHowAlikeTheyAre(t *testing.T) {
	t.Parallel()
	for cosine, counts := range map[slanted]float64{0: 0, 0.2: 0, 0.6: 0.6, 0.9: 1, 1: 1} {
		require.InDelta(t, counts, newLikeness(cosine, "sun").near("rain", "rain")[0], 1e-6, "%v", cosine)
	}
}

func TestWordsOfAFamilyAreFoundByTheirLetters(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"categor", "categori"}, {"reward", "rewardless"}, {"trade", "trader"}} {
		require.True(t, akin(pair[0], pair[1]), "%v", pair)
	}
	for _, pair := range [][2]string{{"stop", "store"}, {"big", "bigger"}, {"", "x"}, {"contract", "contain"}, {"移動平均", "移動"}, {"про", "прорыв"}} {
		require.False(t, akin(pair[0], pair[1]), "%v", pair)
	}
	p := matches(passages("Ships sailed in the north. A table has a row for each category. The weather was fine."))
	text, _ := extract("tables of categorical variables", p, nil)
	require.Contains(t, text, "each category")
	l := newLikeness(nil, "categorical")
	require.Equal(t, []float64{akinShare}, l.near("categori", "category"))
	require.Equal(t, []float64{0}, l.near("cat", "cat"))
}

func TestSentencesThatFollowEachOtherAreOneQuotation(t *testing.T) {
	t.Parallel()
	text, cited := extract("Where does a stop order fill?", matches(passages(
		"A stop order fills at the open. The stop order may fill far below.\n\n- a stop order of one item\n- a stop order of another item",
		"Stop orders fill. Nothing is known of the tide. To fill a stop order takes a counterpart.")), nil)
	require.Contains(t, text, "“A stop order fills at the open. The stop order may fill far below.” [1]")
	require.Contains(t, text, "“- a stop order of one item” [1]\n“- a stop order of another item” [1]", "items are quoted by themselves")
	require.Contains(t, text, "“Stop orders fill.” [2]\n“To fill", "what lies between is left out")
	require.Len(t, cited, 2)
}

// An answer is a few quotations and not the passages.
func TestAnswersAreShort(t *testing.T) {
	t.Parallel()
	sentence := func(i int) string {
		return fmt.Sprintf("Rule %d %sof a stop order. ", i, strings.Repeat("word ", i%7+9))
	}
	var long, chinese strings.Builder
	for i := range 200 {
		long.WriteString(sentence(i))
		chinese.WriteString("止损单以开盘价成交" + strings.Repeat("一", i+1) + "。")
	}
	text, _ := extract("What does a stop order do?", matches(passages(long.String())), nil)
	require.LessOrEqual(t, len(strings.Fields(text)), mostWords)
	require.Greater(t, len(strings.Fields(text)), mostWords/2)
	text, _ = extract("止损单在哪里成交？", matches(passages(chinese.String())), nil)
	require.LessOrEqual(t, len([]rune(text)), unspacedWord*(mostWords+10), "characters count where no spaces are")
	text, _ = extract("stop", matches(passages(strings.Join(letters(60), "\n\n"))), nil)
	require.LessOrEqual(t, strings.Count(text, "“"), mostSentences)
}

func letters(n int) []string {
	var all []string
	for i := range n {
		all = append(all, "Stop "+strings.Repeat("z", i+1)+".")
	}
	return all
}

// What fits far less than the best is left out, though there is room.
func TestWhatFitsFarLessIsNotQuoted(t *testing.T) {
	t.Parallel()
	text, _ := extract("What does a guaranteed stop of the desk cost at noon?", matches(passages(
		"The tide cost the harbour a pier. A guaranteed stop of the desk costs 0.3 percent at noon.")), nil)
	require.Equal(t, "“A guaranteed stop of the desk costs 0.3 percent at noon.” [1]", text)
}

func TestAQuestionForAFigureIsAnsweredByOne(t *testing.T) {
	t.Parallel()
	p := matches(passages("A script is checked for how big it is. The size of it is read first. A script has at most 256 KiB."))
	all := candidates("How big a script?", p, nil)
	require.Len(t, all, 3)
	require.Zero(t, all[1].score, "it says nothing of it")
	asked := map[string]float64{}
	for _, s := range all {
		asked[s.text] = s.score
	}
	for _, s := range candidates("Big is a script?", p, nil) {
		gain := 0.0
		if strings.Contains(s.text, "256") {
			gain = 0.15
		}
		require.InDelta(t, s.score+gain, asked[s.text], 1e-12, s.text)
	}
}

// What ends in a colon says nothing without what follows, whatever words that has.
func TestWhatFollowsAColonIsQuotedWithIt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("It rains on the pier of the harbour and on the ships there. ", 20)
	text, _ := extract("How do I get back the old alignment of feeds?", matches(passages(
		long+"\n\nThe old alignment of feeds is available by using::\n\n  engine = Engine(oldsync=True)\n\n  engine.run()\n\nShips sail.")), nil)
	require.Equal(t, "“The old alignment of feeds is available by using::” [1]\n“engine = Engine(oldsync=True)” [1]\n“engine.run()” [1]", text)
	text, _ = extract("Which ways are there to tune?", matches(passages(
		long+"\n\nThere are ways to tune:\n\n- grids\n- draws\n- halving\n- swarms\n\nShips sail.")), nil)
	require.Contains(t, text, "“- grids” [1]\n“- draws” [1]\n“- halving” [1]")
	require.NotContains(t, text, "Ships")
	text, _ = extract("Which ways are there to tune?", matches(passages("There are ways to tune:\n\nShips\n\n"+long)), nil)
	require.Equal(t, "“There are ways to tune:” [1]", text, "what stands under another heading does not follow")
}

// A question that asks a table by its heads gets all rows of a small one, and of one that it names only that.
func TestATableAskedByItsHeadsIsQuotedWhole(t *testing.T) {
	t.Parallel()
	table := func(rows int) string {
		text := "| Venue | Maker fee | Taker fee |\n|---|---|---|\n"
		for i := range rows {
			text += fmt.Sprintf("| %s | 0.0%d %% | 0.1 %% |\n", strings.Repeat("Zonda"[i%5:i%5+1], 4)+strings.Repeat("q", i), i)
		}
		return text
	}
	text, _ := extract("Which venue has the lowest maker fee?", matches(passages(table(4))), nil)
	require.Equal(t, 4, strings.Count(text, "0.1 %"), text)
	text, _ = extract("What is the maker fee of the venue ooooq?", matches(passages(table(4))), nil)
	require.Equal(t, 1, strings.Count(text, "0.1 %"), text)
	text, _ = extract("Which venue has the lowest maker fee?", matches(passages(table(fewRows))), nil)
	require.Zero(t, strings.Count(text, "0.1 %"), "the rows of a large one all have the words of its first")
}

// Text that reStructuredText indents after two colons or a directive is code; a line that is indented for another reason is text.
func TestIndentedTextIsCodeOrText(t *testing.T) {
	t.Parallel()
	cut := quotes("Change it when creating the engine::\n\n  engine = Engine(stats=False)\n\n  # Ingest and format\n  engine.run()\n\nA tear sheet takes two steps\n\n.. code-block:: python\n   :linenos:\n\n    load()\n\n" +
		"- How are orders executed?\n\n    The type is ``Market`` until canceled\n\nChange the line\n\n`env node --size=4096 bot.js`\n\nto it.\n\n`--size`\n\nbytes")
	var code, text []string
	for _, q := range cut {
		if q.code {
			code = append(code, q.text)
		} else {
			text = append(text, q.text)
		}
	}
	require.Equal(t, []string{"engine = Engine(stats=False)", "# Ingest and format engine.run()", "load()"}, code)
	require.Equal(t, "Change it when creating the engine::", cut[1].before, "code belongs to the sentence before it")
	require.Subset(t, text, []string{"The type is ``Market`` until canceled", "`env node --size=4096 bot.js`", "bytes"})
	require.Equal(t, "`--size`", cut[len(cut)-1].heading)
	for _, item := range quotes("Ways to tune:\n\n- grids\n- draws")[1:] {
		require.Equal(t, "Ways to tune:", item.before, "items belong to the sentence above the list")
	}
}

func TestCodeIsQuotedToItsEnd(t *testing.T) {
	t.Parallel()
	code := "```sh\n" + strings.Repeat("echo some line of a script that continues\n", 20) + "redis-cli flushdb\n```"
	text, _ := extract("flushdb of redis", matches(passages(code)), nil)
	require.Contains(t, text, "redis-cli flushdb")
	for _, q := range quotes(code) {
		require.LessOrEqual(t, len(q.text), mostSentence)
	}
}

// What stands around a sentence counts by how near it is: in it, above it, before it, in the title, elsewhere in the passage.
func TestWordsCountByWhereTheyStand(t *testing.T) {
	t.Parallel()
	weigh := func(r reading) float64 {
		if r.around == nil {
			r.around = &around{}
		}
		if r.own == nil {
			r.own = []float64{0}
		}
		r.compared = true
		score, _ := r.weigh([]string{"stop"}, []float64{1})
		return score
	}
	has := wordSet{"stop": true}
	require.Equal(t, 1.0, weigh(reading{own: []float64{1}, around: &around{heading: has}}))
	require.Equal(t, headingShare, weigh(reading{around: &around{heading: has, title: has}}))
	require.Equal(t, titleShare, weigh(reading{around: &around{title: has, passage: has}}))
	require.Equal(t, beforeShare, weigh(reading{before: has, around: &around{passage: has}}))
	require.Equal(t, elsewhereShare, weigh(reading{around: &around{passage: has}}))
	require.Zero(t, weigh(reading{}))
}

// Of two sentences that say the like the one in the better passage counts more.
func TestSentencesOfLaterPassagesCountLess(t *testing.T) {
	t.Parallel()
	all := candidates("What does a stop cost?", matches(passages("A stop costs a spread.", "A stop costs a basis.")), nil)
	require.Len(t, all, 2)
	require.InDelta(t, all[0].score, all[1].score*(1+laterShare), 1e-12)
	require.Greater(t, all[0].score, all[1].score)
}

// Whatever passages hold, what is quoted stands in the passage that is cited, word for word.
func TestEveryQuotationStandsInThePassageItCites(t *testing.T) {
	t.Parallel()
	part := rapid.SampledFrom([]string{
		"A stop fills at the open.", "stop", "Stop.", "# Stop", "The fee [1] is 3 % [2, 3].", "</source>", "</passage>", "```", "```go", "~~~~", "x := stop[1]",
		"- a stop", "1. a stop", "| stop | fee |", "|---|---|", "stop | fee", "وقف الخسارة يعمل.", "סטופ עובד.", "止损单成交。手续费", "손절 주문은 체결된다.", "रोक आदेश।",
		"🚀 stop 💎", "st\u200bop \u200f\u202eodd\u202c", "“stop” [1]", "” [2] “", "e.g. a stop", strings.Repeat("stop and go ", 60), strings.Repeat("止", 300), strings.Repeat("x", 900), "\t",
	})
	joint := rapid.SampledFrom([]string{" ", "\n", "\n\n", "\n\n\n", ""})
	text := rapid.Custom(func(rt *rapid.T) string {
		var all strings.Builder
		for range rapid.IntRange(0, 12).Draw(rt, "parts") {
			all.WriteString(part.Draw(rt, "part") + joint.Draw(rt, "joint"))
		}
		return all.String()
	})
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.SliceOfN(text, 1, 10).Draw(rt, "texts")
		if rapid.Bool().Draw(rt, "copies") {
			texts = append(texts, texts...)
		}
		p := passages(texts...)
		answer, cited := extract(rapid.SampledFrom([]string{"What does a stop cost?", "the of and", "stop", "止损", "🚀", "fee [1]"}).Draw(rt, "question"), matches(p), nil)
		if answer == nothingFound {
			if len(cited) > 0 {
				rt.Fatalf("nothing was found, and %d passages are cited", len(cited))
			}
			return
		}
		used := map[int]bool{}
		for line := range strings.SplitSeq(answer, "\n") {
			at := strings.LastIndex(line, " [")
			mark, err := strconv.Atoi(strings.Trim(line[at:], " []"))
			if err != nil || mark < 1 || mark > len(cited) || cited[mark-1].Mark != mark {
				rt.Fatalf("the mark of %q", line)
			}
			used[mark] = true
			quoted := strings.TrimSuffix(strings.TrimPrefix(line[:at], "“"), "”")
			if in := plain(cited[mark-1].Passage.Text); !strings.Contains(in, plain(quoted)) {
				rt.Fatalf("%q does not stand in %q", quoted, in)
			}
		}
		if len(used) != len(cited) {
			rt.Fatalf("%d passages are cited, %d are quoted", len(cited), len(used))
		}
	})
}

// plain is a text without what quoting changes: spaces, the bars and lines of tables, fences, brackets, and the marks of where it is cut.
func plain(text string) string {
	return strings.NewReplacer("```go", "", "```", "", "~~~~", "", "…", "", "-", "", " ", "", "\n", "", "\t", "", "|", "", "[", "(", "]", ")").Replace(text)
}

// Text without ends of sentences, as a transcript's, is quoted where it fits and not at its beginning only.
func TestALongSentenceIsQuotedWhereItFits(t *testing.T) {
	t.Parallel()
	text, _ := extract("zeppelin", matches(passages(strings.Repeat("so today we talk of the market ", 40)+"a zeppelin flies "+strings.Repeat("and so we go on ", 40))), nil)
	require.Contains(t, text, "a zeppelin flies")
	require.True(t, strings.HasPrefix(text, "“…") && strings.HasSuffix(text, "…” [1]"), text)
	require.LessOrEqual(t, len(text), mostSentence+20)
	var parts []string
	for _, q := range quotes(strings.Repeat("止", 1000)) {
		parts = append(parts, q.text)
	}
	require.Equal(t, strings.Repeat("止", 1000), strings.Join(parts, ""))
}

// A document of one word does not hide the sentences that use it; copies of a sentence are quoted once.
func TestAWordAloneHidesNoSentence(t *testing.T) {
	t.Parallel()
	text, _ := extract("What is momentum?", matches(passages("Momentum", "Momentum is the tendency of winners to continue.", "Momentum is the tendency of winners to continue.")), nil)
	require.Equal(t, "“Momentum” [1]\n“Momentum is the tendency of winners to continue.” [2]", text)
}

// Code has empty lines, and its comments are not headings; a passage may begin within it.
func TestCodeContinuesBehindAnEmptyLine(t *testing.T) {
	t.Parallel()
	const rest = "# mean of the values\nmean = total / n\n\nprint(mean)\n```\nA text follows. It is cut.\n\nAn end."
	for _, text := range []string{"```python\ntotal = 0\n\n" + rest, rest} {
		var parts []string
		for _, q := range quotes(text) {
			require.Empty(t, q.heading)
			parts = append(parts, q.text)
		}
		require.Equal(t, []string{"# mean of the values mean = total / n", "print(mean)", "A text follows.", "It is cut.", "An end."}, parts[len(parts)-5:])
	}
	require.Len(t, quotes("Stops\n~~~~~\n\nA stop fills. It costs.\n\nUse ```x``` of it. It is inline."), 4, "an underline, and code within a line, begin no code")
}

// What a fence of code has in brackets is an index. In round brackets it would be other code.
func TestCodeIsQuotedWithItsBrackets(t *testing.T) {
	t.Parallel()
	text, _ := extract("What has the crossing strategy with its close and average?", matches(passages(
		"The crossing strategy enters on a close above its average, as [3] shows.\n\n```pine\nif close[1] > average[1]\n    strategy.entry(\"long\")\n```")), nil)
	require.Contains(t, text, "if close[1] > average[1]")
	require.Contains(t, text, "as (3) shows")
}

// The passage that holds what likely answers is quoted first, whatever the order in which passages were found.
func TestTheLikeliestPassageIsQuotedFirst(t *testing.T) {
	t.Parallel()
	text, cited := extract("How many requests may a client send in a minute?", matches(passages(
		"A client may read the tape. The minute is a period of a bar. Requests are logged.",
		"A client may send 200 requests in a minute.")), nil)
	require.True(t, strings.HasPrefix(text, "“A client may send 200 requests in a minute.” [1]"), text)
	require.Equal(t, 1, cited[0].Mark)
	require.Equal(t, "A client may send 200 requests in a minute.", cited[0].Passage.Text)
}

// Sentences of scripts without spaces stand in a quotation as they stand in their text.
func TestNoSpaceComesBetweenSentencesThatHaveNone(t *testing.T) {
	t.Parallel()
	text, _ := extract("逆指値注文はいつ約定しますか", matches(passages("逆指値注文は次の足の始値で約定します。指値注文は値段に達すると約定します。")), nil)
	require.Contains(t, text, "約定します。指値注文は")
}

// Marks of reStructuredText say how a text is shown, and nothing that could be quoted.
func TestMarksOfReStructuredTextAreNotQuoted(t *testing.T) {
	t.Parallel()
	var got []string
	for _, q := range quotes("Brokers\n\"\"\"\"\"\"\"\n\nAlpaca is a broker.\n.. list-table:: Configuration\n   :widths: 25 50\n   :header-rows: 1\n\n.. note:: Keep the key secret.\n\nLimits\n^^^^^^\nThere are 200 requests a minute.\n:param rate: requests a minute") {
		got = append(got, q.heading+": "+q.text)
	}
	require.Equal(t, []string{
		"Brokers: Alpaca is a broker.", "Brokers: Keep the key secret.", "Limits: There are 200 requests a minute.", "Limits: :param rate: requests a minute",
	}, got)
}

// An answer is as long as it takes to be sure of it. What came with the sentence above it does not make it surer a second time.
func TestWhatFollowsAColonIsCountedOnce(t *testing.T) {
	t.Parallel()
	all := []sentence{
		{order: 0, text: "There are two:", words: 3, score: 1, likely: 0.45},
		{order: 1, text: "a limit and a stop.", words: 5, score: 1, likely: 0.4},
		{order: 5, text: "A long one.", words: 200, score: 1, likely: 0.01},
		{order: 9, text: "Another long one of another passage.", words: 200, score: 1, likely: 0.01},
	}
	require.Len(t, chosen(all, mostWords), len(all))
}
