package types

// RecommendRequest is the body of POST /kb/recommend.
type RecommendRequest struct {
	StrategyName  string          `json:"strategy_name"`
	Dataset       string          `json:"dataset"`        // id or name: its last 200 bars are the regime asked about, its last 1,000 the character
	Regime        *RegimeVector   `json:"regime"`         // or the regime itself
	ObjectiveType *Objective      `json:"objective_type"` // only tunes under it; by default all
	Timeframe     *string         `json:"timeframe"`      // by default the dataset's; "" for any
	Floors        RecommendFloors `json:"floors"`
	Question      string          `json:"question"` // what to look for in the documents
	Rerank        bool            `json:"rerank"`
}

// RecommendFloors are what candidates are held to, out of sample; null takes the default.
type RecommendFloors struct {
	MinOOSSharpe   *float64 `json:"min_oos_sharpe"`   // default 0.3
	MinReturnPct   *float64 `json:"min_return_pct"`   // default 5
	MinCalmar      *float64 `json:"min_calmar"`       // default 0.5
	MaxDrawdownPct *float64 `json:"max_drawdown_pct"` // default 20
	MinTrades      *int     `json:"min_trades"`       // default 5
	MaxOverfitGap  *float64 `json:"max_overfit_gap"`  // of the Sharpe ratio; default 0.5
	MinSimilarity  *float64 `json:"min_similarity"`   // of the regime, 0 to 1; default 0.5
}

// Recommend is the answer to POST /kb/recommend.
type Recommend struct {
	RunID        string               `json:"run_id"`
	Status       RecommendStatus      `json:"status"`
	Confidence   float64              `json:"confidence"`
	StrategyName string               `json:"strategy_name"`
	Regime       RecommendRegime      `json:"regime"`
	Params       *map[string]float64  `json:"params"`   // of a trial that was run; null with status none
	BasedOn      *RecommendCandidate  `json:"based_on"` // that trial
	Ranges       map[string]Range     `json:"ranges"`
	Candidates   []RecommendCandidate `json:"candidates"` // at most 20, best first
	Counts       RecommendCounts      `json:"counts"`
	Relaxed      []Axis               `json:"relaxed"`
	Suggestions  []Relaxation         `json:"suggestions"`
	ReasonCodes  []string             `json:"reason_codes"`
	Evidence     []Match              `json:"evidence"` // what the documents say
	Lacking      []string             `json:"lacking"`  // what the search in them did without
	TimingsMS    RecommendTimings     `json:"timings_ms"`
}

// RecommendRegime is the regime that was asked about.
type RecommendRegime struct {
	Schema      string       `json:"schema"`
	Vector      RegimeVector `json:"vector"`
	Tags        []string     `json:"tags"`
	Fingerprint string       `json:"fingerprint"`
	Character   *Character   `json:"character,omitempty"` // of a dataset of at least 100 bars
}

// RecommendCandidate is a past trial that a recommendation draws on.
type RecommendCandidate struct {
	TuneID         string             `json:"tune_id"`
	TrialIndex     int                `json:"trial_index"`
	Rank           int                `json:"rank"`
	Dataset        string             `json:"dataset"`
	Symbol         string             `json:"symbol"`
	Timeframe      string             `json:"timeframe"`
	ObjectiveType  string             `json:"objective_type"`
	Params         map[string]float64 `json:"params"`
	RegimeTags     []string           `json:"regime_tags"`
	Similarity     float64            `json:"similarity"`
	OOSSharpe      *float64           `json:"oos_sharpe"`
	ReturnPct      *float64           `json:"return_pct"`
	Calmar         *float64           `json:"calmar"`
	MaxDrawdownPct *float64           `json:"max_drawdown_pct"`
	Trades         int                `json:"trades"`
	OverfitGap     *float64           `json:"overfit_gap"` // of the Sharpe ratio
}

// Range is a parameter's spread over the candidates.
type Range struct {
	Low    float64 `json:"low"`
	Median float64 `json:"median"`
	High   float64 `json:"high"`
}

// RecommendCounts say how many trials were looked at, and which floor excluded how many.
type RecommendCounts struct {
	Considered int          `json:"considered"`
	Admitted   int          `json:"admitted"`
	RejectedBy map[Axis]int `json:"rejected_by"`
}

// Relaxation is a floor that would have to move for more candidates.
type Relaxation struct {
	Axis   Axis     `json:"axis"`
	From   *float64 `json:"from"` // null on the axis timeframe
	To     *float64 `json:"to"`
	Admits int      `json:"admits"` // candidates that there would be then
}

// RecommendTimings are milliseconds.
type RecommendTimings struct {
	Regime    float64 `json:"regime"`
	Embed     float64 `json:"embed"`
	Qdrant    float64 `json:"qdrant"` // the vector search, whichever the index
	Rerank    float64 `json:"rerank"`
	Aggregate float64 `json:"aggregate"`
	Total     float64 `json:"total"`
}
