package judge

import (
	"fmt"
	"io"
	"slices"

	"millrace/jobs/knowledge"
)

// Summary is what a set of judged questions shows.
type Summary struct {
	On, Off         int      // questions on the subject, and off it
	NDCG, WordsNDCG Interval // nDCG@10 of the search, and of BM25 alone
	Gain            Interval // of the first over the second, question by question
	Recall, Words   float64  // share of questions with an answer among the first ten
	Unknown         int      // questions for which neither finds a passage that answers
	Phrases         int      // questions with a phrase
	Within          int      // of these, with the phrase in a passage that the answer is made of
	Answered        int      // of these, with the phrase in the answer
	Area            float64  // under the curve of coverage; undefined without questions off the subject
	Covered         Point    // at the threshold in force
	Points          []Point
}

// Summarize sums judged questions up.
func Summarize(judged []Judged) Summary {
	var s Summary
	var both, words, gain, on, off []float64
	for _, j := range judged {
		if j.OffDomain {
			s.Off++
			off = append(off, j.Fit)
			continue
		}
		s.On++
		on = append(on, j.Fit)
		both, words, gain = append(both, j.NDCG), append(words, j.WordsNDCG), append(gain, j.NDCG-j.WordsNDCG)
		s.Recall += count(j.Recalled)
		s.Words += count(j.WordsRecalled)
		s.Unknown += int(count(!j.Known))
		if j.Phrase != "" {
			s.Phrases++
			s.Within += int(count(j.Within))
			s.Answered += int(count(j.Answered))
		}
	}
	s.NDCG, s.WordsNDCG, s.Gain = Bootstrap(both), Bootstrap(words), Bootstrap(gain)
	if s.On > 0 {
		s.Recall, s.Words = s.Recall/float64(s.On), s.Words/float64(s.On)
	}
	if s.On > 0 && s.Off > 0 {
		s.Area, s.Points = Area(on, off), Curve(on, off)
		s.Covered = Point{knowledge.StrongMatch, atLeast(on, knowledge.StrongMatch), atLeast(off, knowledge.StrongMatch)}
	}
	return s
}

func count(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// Write prints the summary as a table.
func (s Summary) Write(w io.Writer) error {
	text := fmt.Sprintf("questions              %d on the subject, %d off it\n", s.On, s.Off)
	if s.On > 0 {
		text += fmt.Sprintf("nDCG@10                %s\n", s.NDCG) +
			fmt.Sprintf("nDCG@10, BM25 alone    %s\n", s.WordsNDCG) +
			fmt.Sprintf("gain over BM25         %s\n", s.Gain) +
			fmt.Sprintf("answer in first ten    %.3f, BM25 alone %.3f\n", s.Recall, s.Words)
	}
	if s.Unknown > 0 {
		text += fmt.Sprintf("found by neither       %d: is the phrase in the text as --passages of millrace ask shows it?\n", s.Unknown)
	}
	if s.Phrases > 0 {
		text += fmt.Sprintf("phrase in the answer   %d of %d; it was in the passages of %d\n", s.Answered, s.Phrases, s.Within)
	}
	if s.On > 0 && s.Off > 0 {
		text += fmt.Sprintf("coverage               area under the curve %.3f; at %.2f covered: %.3f of those on the subject, %.3f of those off it\n",
			s.Area, s.Covered.Threshold, s.Covered.True, s.Covered.False)
		text += "  threshold  on the subject  off it\n"
		for _, p := range s.corners() {
			text += fmt.Sprintf("  %9.3f  %14.3f  %6.3f\n", p.Threshold, p.True, p.False)
		}
	}
	_, err := io.WriteString(w, text)
	return err
}

// corners are the points of the curve from which the next one has more questions off the subject.
func (s Summary) corners() []Point {
	var kept []Point
	for i, p := range s.Points {
		if i+1 == len(s.Points) || s.Points[i+1].False > p.False {
			kept = append(kept, p)
		}
	}
	return kept[:min(len(kept), 12)]
}

// String is the mean with its interval.
func (i Interval) String() string { return fmt.Sprintf("%.3f (%.3f to %.3f)", i.Mean, i.Low, i.High) }

// Missed are the questions on the subject that the answer or the search misses, worst first.
func Missed(judged []Judged) []Judged {
	var missed []Judged
	for _, j := range judged {
		if !j.OffDomain && (!j.Recalled || j.Phrase != "" && !j.Answered) {
			missed = append(missed, j)
		}
	}
	slices.SortStableFunc(missed, func(a, b Judged) int { return int(count(a.Recalled)) - int(count(b.Recalled)) })
	return missed
}
