package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/sweep"
)

// estimate is what a form as it stands would run.
type estimate struct {
	Trials int
	Folds  int     // of a walk-forward; 0 of a tune
	Work   float64 // trials times the bars that each sees
}

// Estimate handles POST /admin/tunes/estimate: how many trials the form makes and about how long they take, in words;
// "" where the form is not complete. Nothing is stored.
func (p *Pages) Estimate(c echo.Context) error {
	v, err := p.page(c, "Tunes", "New tune")
	if err != nil {
		return err
	}
	text := ""
	if v.Workspace != nil {
		if text, err = p.estimated(c, v, readTuneForm(c, c.FormValue("train_days") != "")); err != nil {
			return err
		}
	}
	return c.JSON(http.StatusOK, map[string]string{"text": text})
}

func (p *Pages) estimated(c echo.Context, v *view, form tuneForm) (string, error) {
	var sets types.List[types.Dataset]
	if err := p.get(c, v, "/datasets", url.Values{"limit": {"500"}}, &sets); err != nil {
		return "", err
	}
	of, fault, err := p.estimateOf(c, v, form, sets.Items)
	if err != nil || fault != "" {
		return fault, err
	}
	text := plural(of.Trials, "trial")
	if of.Folds > 0 {
		text += " in each of " + plural(of.Folds, "fold")
	}
	speed, err := p.speed(c, v, sets.Items)
	if err != nil || speed == 0 {
		return text, err
	}
	return text + ", " + aboutText(of.Work/speed) + " at the speed of the last tunes", nil
}

// estimateOf binds the form to its bars as a submission does. fault says in words why that is not possible.
func (p *Pages) estimateOf(c echo.Context, v *view, form tuneForm, sets []types.Dataset) (of estimate, fault string, err error) {
	body, faults := form.body()
	if len(faults) > 0 {
		return of, faults[0].Field + " " + faults[0].Message, nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return of, "", err
	}
	var spec sweep.Spec
	var walk struct {
		Config sweep.WFOConfig `json:"wfo_config"`
	}
	if json.Unmarshal(raw, &spec) != nil || json.Unmarshal(raw, &walk) != nil {
		return of, "", nil // the submission names what is wrong
	}
	at := slices.IndexFunc(sets, func(d types.Dataset) bool { return d.Name == form.Dataset || d.DatasetID == form.Dataset })
	if at < 0 {
		return of, "", nil // an earlier version, or one of very many
	}
	id, err := uuid.Parse(sets[at].DatasetID)
	if err != nil {
		return of, "", err
	}
	several := 1 + len(form.More)
	spec.Datasets, spec.IntrabarDataset = nil, "" // neither changes how many trials there are
	stored := &StoredTune{WorkspaceID: v.Workspace.ID, DatasetID: id, Dataset: sets[at].Name, Spec: spec}
	ctx := c.Request().Context()
	if err := p.opts.Reads.Bind(ctx, stored); err != nil {
		return of, "", err
	}
	series, err := p.opts.Reads.Series(ctx, stored)
	if err != nil {
		return of, "", err
	}
	plan, wrong := sweep.NewPlanOver(stored.Spec, series)
	if len(wrong) > 0 {
		return of, wrong[0].Field + " " + wrong[0].Message, nil
	}
	of.Trials = plan.Trials()
	of.Work = float64(of.Trials) * float64(several) * float64(series[0].Bars.Len()) * float64(1+stored.Spec.Permutations())
	if form.WFO {
		walk.Config.Normalize()
		folds, _, wrong := walk.Config.Folds(series[0].Bars)
		if len(wrong) > 0 {
			return of, wrong[0].Field + " " + wrong[0].Message, nil
		}
		bars := 0
		for _, fold := range folds {
			bars += fold.TrainBars + fold.TestBars
		}
		of.Folds, of.Work = len(folds), float64(of.Trials)*float64(bars)*float64(several)
	}
	return of, "", nil
}

// speed is how many trials times bars the fleet did in a second on the largest of the workspace's last tunes: small ones
// measure what surrounds the work. 0 when there is none yet.
func (p *Pages) speed(c echo.Context, v *view, sets []types.Dataset) (float64, error) {
	var last types.List[tune]
	if err := p.get(c, v, "/backtests/tunes", url.Values{"status": {"completed"}, "limit": {"20"}}, &last); err != nil {
		return 0, err
	}
	bars := map[string]int{}
	for _, d := range sets {
		bars[d.Name], bars[d.FullName] = d.Bars, d.Bars
	}
	largest, speed := 0.0, 0.0
	for _, t := range last.Items {
		work := float64(t.NTrials) * float64(bars[t.Dataset()]) * float64(max(1, len(t.Spec.Datasets)))
		if t.StartedAt == nil || t.CompletedAt == nil || work <= largest {
			continue
		}
		if took := t.CompletedAt.Sub(*t.StartedAt).Seconds(); took > 0 {
			largest, speed = work, work/took
		}
	}
	return speed, nil
}

// aboutText writes a duration in seconds as roughly as it is known.
func aboutText(seconds float64) string {
	switch {
	case seconds < 1:
		return "under a second"
	case seconds < 90:
		return "about " + plural(int(seconds+0.5), "second")
	case seconds < 90*60:
		return "about " + plural(int(seconds/60+0.5), "minute")
	case seconds < 48*3600:
		return "about " + plural(int(seconds/3600+0.5), "hour")
	}
	return "about " + plural(int(seconds/86400+0.5), "day")
}
