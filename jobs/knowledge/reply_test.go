package knowledge

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func said(text string) Completion { return Completion{Text: text} }

func TestCitationNumbersMatchTheCitations(t *testing.T) {
	t.Parallel()
	p := passages("a", "b", "c")
	for _, test := range []struct {
		answer, want string
		cited        []int
	}{
		{"So [3]. And [1][3].", "So [1]. And [2][1].", []int{2, 0}},
		{"So [2, 3] [ 1 ].", "So [1][2] [3].", []int{1, 2, 0}},
		{"None [0] [4] [99].", "None   .", nil},
		{"An array a[2] is cited too.", "An array a[1] is cited too.", []int{1}},
		{"In code `a[2]` is not, nor in ```\nb[1]\n```. [3]", "In code `a[2]` is not, nor in ```\nb[1]\n```. [1]", []int{2}},
		{"Lenticular 【2】 and 【1†source】.", "Lenticular [1] and [2].", []int{1, 0}},
		{"Footnote [^3], range [1-3] and [1–2].", "Footnote [1], range [2][3][1] and [2][3].", []int{2, 0, 1}},
		{"Named [passage 2] and [Sources: 1, 3].", "Named [1] and [2][3].", []int{1, 0, 2}},
		{"Both [1; 2] and [^1, ^3] and [2 and 3].", "Both [1][2] and [1][3] and [2][3].", []int{0, 1, 2}},
		{"A range without end [1-999] and words [see below] [2024-01-05].", "A range without end [1][2][3] and words [see below] [2024-01-05].", []int{0, 1, 2}},
	} {
		text, cited := readMarks(test.answer, p)
		require.Equal(t, test.want, text)
		var found []int
		for i, c := range cited {
			require.Equal(t, i+1, c.Mark)
			for j := range p {
				if p[j].ID == c.Passage.ID {
					found = append(found, j)
				}
			}
		}
		require.Equal(t, test.cited, found, test.answer)
	}
	_, err := readAnswer(said("I just know."), p)
	require.Equal(t, ReasonError, ReasonOf(err))
}

func TestSentinelsAreNeverShown(t *testing.T) {
	t.Parallel()
	p := passages("a", "b")
	for _, answer := range []string{
		"NOT_FOUND", " NOT_FOUND.\n", "`NOT_FOUND`", "**NOT_FOUND**", "NOT\\_FOUND", "not_found",
		"The passages do not say. NOT_FOUND", "<think>Hm.</think>NOT_FOUND",
	} {
		r, err := readAnswer(said(answer), p)
		require.NoError(t, err, answer)
		require.Equal(t, nothingFound, r.text, answer)
		require.Empty(t, r.cited)
	}
	r, err := readAnswer(said("It is so [2]. NOT_FOUND"), p)
	require.NoError(t, err)
	require.Equal(t, "It is so [1].", r.text)
}

func TestReasoningIsRemoved(t *testing.T) {
	t.Parallel()
	p := passages("a", "b")
	for _, answer := range []string{
		"<think>First [1], or not.</think>\nIt is so [2].", "or not [1].\n</think>\n\nIt is so [2].", "<Thinking type=\"x\">a</THINKING >It is so [2].",
		"It is so [2].<reasoning>because [1]", "<think>a</think><think>b</think>It is so [2].",
	} {
		r, err := readAnswer(said(answer), p)
		require.NoError(t, err, answer)
		require.Equal(t, "It is so [1].", r.text, answer)
		require.Equal(t, p[1].ID, r.cited[0].Passage.ID)
	}
	_, err := readAnswer(Completion{Text: "<think>It ended [1] within", Truncated: true}, p)
	require.Equal(t, ReasonError, ReasonOf(err), "reasoning alone is not an answer")
}

func TestTruncatedRepliesAreMarked(t *testing.T) {
	t.Parallel()
	r, err := readAnswer(Completion{Text: "It is so [1]. And further", Truncated: true}, passages("a"))
	require.NoError(t, err)
	require.True(t, r.truncated)
	require.Equal(t, "It is so [1]. And further…", r.text)
	r, err = readAnswer(said("It is so [1]."), passages("a"))
	require.NoError(t, err)
	require.False(t, r.truncated)
}

func TestClaimsAreHeldAgainstTheCitedPassages(t *testing.T) {
	t.Parallel()
	p := passages("The premium of a guaranteed stop is usually 0.3 percent of the position.", "Contango costs 1,200 a month.")
	r, err := readAnswer(said("A guaranteed stop has a premium of 0.3 percent [1]. A guaranteed stop has a premium of 4 percent [1]. "+
		"Sourdough rises overnight. [1]\nContango costs 1200 a month.[2] This cites nothing."), p)
	require.NoError(t, err)
	require.Len(t, r.claims, 4)
	var supported []bool
	for _, c := range r.claims {
		supported = append(supported, c.Supported())
		require.True(t, c.Support >= 0 && c.Support <= 1)
	}
	require.Equal(t, []bool{true, false, false, true}, supported, "a wrong figure and foreign words are not borne out")
	require.Equal(t, []int{1}, r.claims[2].Marks)
	require.True(t, strings.HasPrefix(r.claims[2].Text, "Sourdough"))
}
