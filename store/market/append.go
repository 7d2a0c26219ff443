package market

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
)

// Extension is bars for a dataset that is there.
type Extension struct {
	Bars    *backtest.Bars
	Reading json.RawMessage // what their file was taken for
	Rewrite bool            // they replace all bars, as after a split or a dividend
	AnyJump bool            // a jump of price between stored and new bars is meant
	AnyGap  bool            // as is a time without bars between them
	// AnyWeekend appends bars of a weekend to bars of weekdays.
	AnyWeekend bool
	// TickSize replaces a larger one of the dataset; 0: as it is.
	TickSize float64
}

// Extended is what became of an Extension.
type Extended struct {
	Dataset Dataset // the newest version
	Made    bool    // it was made of this; else all bars were there
	Added   int     // bars after the last one of before
	Overlap int     // bars sent that were there
	Note    string  // what a rewrite changed
	Stale   Stale   // by a rewrite
}

// RacedError is an extension while another one made the version that it would have made.
type RacedError struct{ Name string }

// Error implements error.
func (e *RacedError) Error() string { return "a version of " + e.Name + " was made meanwhile" }

// Unwrap makes it an ErrConflict.
func (e *RacedError) Unwrap() error { return store.ErrConflict }

// ErrFull is an extension beyond the most bars that a dataset may have.
var ErrFull = fmt.Errorf("a dataset has at most %d bars", ohlcv.MaxRows)

// Extend appends bars to the newest version of a dataset, or writes them all again, as the next version. Bars
// that are there already must be the same: a *backtest.SeamError names the first that is not, or what is wrong
// where old and new bars meet. A sent set that is there as a whole makes no version. Of two extensions at once
// one is a *RacedError, unless there is nothing left of it to add.
func (s *Store) Extend(ctx context.Context, workspace uuid.UUID, idOrName string, e Extension) (Extended, error) {
	made, err := s.extend(ctx, workspace, idOrName, e)
	var raced *RacedError
	if errors.As(err, &raced) {
		if again, err := s.plan(ctx, workspace, idOrName, e); err == nil && !again.Made {
			return again.Extended, nil
		}
	}
	return made, err
}

// planned is a version that is ready to be stored.
type planned struct {
	Extended
	head Dataset // the version that it follows
	row  version
}

func (s *Store) extend(ctx context.Context, workspace uuid.UUID, idOrName string, e Extension) (Extended, error) {
	p, err := s.plan(ctx, workspace, idOrName, e)
	if err != nil || !p.Made {
		return p.Extended, err
	}
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		if err := s.storeVersion(ctx, tx, workspace, &p); err != nil {
			return err
		}
		p.Dataset, err = readDataset(ctx, tx, workspace, p.Dataset.ID.String())
		return err
	})
	return p.Extended, err
}

// plan reads what it must of the newest version and makes the next one, outside of any transaction: packing
// takes its time.
func (s *Store) plan(ctx context.Context, workspace uuid.UUID, idOrName string, e Extension) (planned, error) {
	head, err := s.newest(ctx, workspace, idOrName)
	if err != nil {
		return planned{}, err
	}
	if e.Rewrite {
		return s.planRewrite(ctx, workspace, head, e)
	}
	return s.planAppend(ctx, workspace, head, e)
}

// newest is the newest version of the dataset that an id or a name names, of any version.
func (s *Store) newest(ctx context.Context, workspace uuid.UUID, idOrName string) (head Dataset, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		named, err := readDataset(ctx, tx, workspace, idOrName)
		if err != nil {
			return err
		}
		head, err = readDataset(ctx, tx, workspace, named.Name)
		return err
	})
	return head, err
}

func (s *Store) planAppend(ctx context.Context, workspace uuid.UUID, head Dataset, e Extension) (planned, error) {
	p := planned{Extended: Extended{Dataset: head}, head: head}
	at := e.Bars.Time
	keep := 0 // bars of e that are not after the last stored one
	for keep < len(at) && at[keep] <= head.To.UnixMicro() {
		keep++
	}
	added := e.Bars.Len() - keep
	if head.Bars+added > ohlcv.MaxRows {
		return p, ErrFull
	}
	tail, links, lastClose, err := s.tail(ctx, workspace, head, time.UnixMicro(at[0]), added)
	if err != nil {
		return p, err
	}
	seam := backtest.Seam{From: head.From, To: head.To, LastClose: lastClose, Timeframe: backtest.Timeframe(head.Timeframe), AnyJump: e.AnyJump, AnyGap: e.AnyGap}
	if err := seam.Check(tail, e.Bars); err != nil {
		return p, err
	}
	p.Added, p.Overlap = added, keep
	if added == 0 {
		return p, nil
	}
	fresh := e.Bars.Slice(keep, e.Bars.Len())
	if err := s.checkWeekends(ctx, workspace, head, links, fresh, e.AnyWeekend); err != nil {
		return p, err
	}
	digest, err := s.digest(ctx, workspace, head)
	if err != nil {
		return p, err
	}
	digest.Append(fresh)
	count, base := merged(links, added)
	packed := fresh
	if own, err := join(links[:count]); err != nil {
		return p, fmt.Errorf("unpack dataset %s: %w", head.ID, err)
	} else if own != nil {
		if packed, err = ohlcv.Join(own, fresh); err != nil {
			return p, err
		}
	}
	p.row = version{change: Appended, base: base, own: packed.Len(), added: added}
	return p, p.seal(fresh, packed, head.Bars+added, digest, e)
}

// checkWeekends reads the stored times only where new ones are of a weekend.
func (s *Store) checkWeekends(ctx context.Context, workspace uuid.UUID, head Dataset, links []link, fresh *backtest.Bars, all bool) error {
	if all || !fresh.OfWeekend() {
		return nil
	}
	stored, err := s.times(ctx, workspace, links)
	if err != nil {
		return fmt.Errorf("unpack the times of dataset %s: %w", head.ID, err)
	}
	return backtest.Weekends(stored, fresh, backtest.Timeframe(head.Timeframe))
}

// seal packs the bars of the row and describes the version.
func (p *planned) seal(fresh, packed *backtest.Bars, bars int, digest *ohlcv.Digest, e Extension) (err error) {
	if p.row.data, err = ohlcv.Encode(packed); err != nil {
		return fmt.Errorf("encode bars: %w", err)
	}
	sum, last := digest.Sum(), fresh.Len()-1
	next := p.head
	next.Bars, next.SHA256, next.Reading = bars, sum[:], e.Reading
	next.To = time.UnixMicro(fresh.Time[last]).UTC()
	if e.TickSize > 0 && e.TickSize < next.TickSize {
		next.TickSize = e.TickSize
	}
	p.row.lastClose = &fresh.Close[last]
	p.Dataset, p.Made = next, true
	if p.Dataset.ID, err = uuid.NewV7(); err != nil {
		return fmt.Errorf("dataset id: %w", err)
	}
	p.Dataset.Version++
	p.Dataset.SumState, err = digest.State()
	return err
}

// tail reads of a version the bars of the rows that reach to a time or later, its rows, those that an append
// of so many bars packs again with their data, and its last close. tail is nil when it need not be read.
func (s *Store) tail(ctx context.Context, workspace uuid.UUID, head Dataset, from time.Time, added int) (tail *backtest.Bars, links []link, lastClose float64, err error) {
	var last *float64
	reach := 0
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		if links, err = chain(ctx, tx, workspace, head.ID); err != nil {
			return err
		}
		for reach < len(links) && !links[reach].To.Before(from) {
			reach++
		}
		count, _ := merged(links, added)
		if err := tx.QueryRow(ctx, `select last_close from datasets where workspace_id = $1 and id = $2`, workspace, head.ID).Scan(&last); err != nil {
			return fmt.Errorf("read the last close of %s: %w", head.ID, err)
		}
		return fill(ctx, tx, workspace, links[:max(reach, count)])
	})
	if err != nil {
		return nil, nil, 0, err
	}
	if last == nil { // stored by a version of before: this once, all is read
		bars, _, err := s.Bars(ctx, workspace, head.ID)
		if err != nil {
			return nil, nil, 0, err
		}
		last = &bars.Close[bars.Len()-1]
	}
	if tail, err = join(links[:reach]); err != nil {
		return nil, nil, 0, fmt.Errorf("unpack dataset %s: %w", head.ID, err)
	}
	return tail, links, *last, nil
}

// digest continues the content hash of a version; of one from before it is made of the bars.
func (s *Store) digest(ctx context.Context, workspace uuid.UUID, head Dataset) (*ohlcv.Digest, error) {
	if digest, err := ohlcv.ReadDigest(head.SumState); err == nil {
		if sum := digest.Sum(); string(sum[:]) == string(head.SHA256) {
			return digest, nil
		}
	}
	bars, _, err := s.Bars(ctx, workspace, head.ID)
	if err != nil {
		return nil, err
	}
	if !ohlcv.Matches(bars, head.SHA256) {
		return nil, fmt.Errorf("dataset %s does not have the bars of its hash %s", head.ID, hex.EncodeToString(head.SHA256))
	}
	digest := ohlcv.NewDigest()
	digest.Append(bars)
	return digest, nil
}

// planRewrite makes a version of which every bar may be another. It must reach as far back and forward as
// what is stored, so that no bar of before stands beside one of after a split.
func (s *Store) planRewrite(ctx context.Context, workspace uuid.UUID, head Dataset, e Extension) (planned, error) {
	p := planned{Extended: Extended{Dataset: head}, head: head}
	stored, _, err := s.Bars(ctx, workspace, head.ID)
	if err != nil {
		return p, err
	}
	changes, err := backtest.Rewrite(stored, e.Bars)
	if err != nil {
		return p, err
	}
	p.Added, p.Overlap = changes.Added, e.Bars.Len()-changes.Added
	if changes.None() {
		return p, nil
	}
	if !changes.Replaces() { // what was computed on the bars of before still holds
		e.Rewrite, e.AnyGap, e.AnyWeekend = false, true, true
		return s.planAppend(ctx, workspace, head, e)
	}
	digest := ohlcv.NewDigest()
	digest.Append(e.Bars)
	p.Note = changes.String()
	p.row = version{change: Rewritten, added: changes.Added, note: p.Note}
	if err := p.seal(e.Bars, e.Bars, e.Bars.Len(), digest, e); err != nil {
		return p, err
	}
	p.Dataset.From = time.UnixMicro(e.Bars.Time[0]).UTC()
	return p, nil
}
