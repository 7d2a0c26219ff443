package sweep

import (
	"fmt"
	"slices"

	"millrace/jobs/backtest"
)

// Script pins the script that a tune was submitted with: its name may be given to a later version, its
// hash may not.
type Script struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Version int      `json:"version"`
	SHA256  string   `json:"sha256"` // of the source, in hex
	Params  []string `json:"params"` // names of the parameters in order
}

// Bind makes the spec one of the strategy. A spec that is not bound looks its strategy up among the
// built-in ones.
func (s *Spec) Bind(strategy backtest.Strategy) { s.strategy = strategy }

// Strategy is the strategy that the spec is bound to, or the built-in one of its name, or nil.
func (s Spec) Strategy() backtest.Strategy {
	if s.strategy != nil {
		return s.strategy
	}
	if strategy, ok := backtest.Lookup(s.StrategyName); ok {
		return strategy
	}
	return nil
}

// ParamNames are the names of the strategy's parameters, in the order of its Params; nil when the
// strategy is unknown.
func (s Spec) ParamNames() []string {
	strategy := s.Strategy()
	if strategy == nil {
		if s.Script != nil {
			return slices.Clone(s.Script.Params)
		}
		return nil
	}
	var names []string
	for _, spec := range strategy.Params() {
		names = append(names, spec.Name)
	}
	return names
}

// scripted reports whether the strategy brings its own account.
func (s Spec) scripted() bool {
	_, ok := s.strategy.(backtest.Scripted)
	return ok || s.Script != nil
}

// EffectiveAccount is the account of a run and which of its settings the spec names.
func (s Spec) EffectiveAccount() (backtest.Account, backtest.Override) { return s.account() }

// account is that of a run: what the spec names, and for the rest the script's own.
func (s Spec) account() (backtest.Account, backtest.Override) {
	a := backtest.DefaultAccount()
	if own, ok := s.strategy.(backtest.Scripted); ok {
		a = own.Account()
	}
	named := s.Account
	over := backtest.Override{
		Cash: named.Cash != nil, Commission: named.Commission != nil, Slippage: named.Slippage != nil,
		Size: named.Size != nil, WholeUnits: named.WholeUnits != nil, Exclusive: named.Exclusive != nil,
	}
	set(&a.Cash, named.Cash)
	set(&a.Commission, named.Commission)
	set(&a.Slippage, named.Slippage)
	set(&a.Size, named.Size)
	set(&a.WholeUnits, named.WholeUnits)
	set(&a.Exclusive, named.Exclusive)
	return a, over
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// labelled puts the numbers of labels into the ranges that name them; strings are never numbers.
func (s Spec) labelled(strategy backtest.Strategy, f *faults) map[string]Range {
	ranges := make(map[string]Range, len(s.ParamSpace))
	specs := strategy.Params()
	for _, name := range s.sortedNames() {
		r := s.ParamSpace[name]
		ranges[name] = r
		i := slices.IndexFunc(specs, func(spec backtest.ParamSpec) bool { return spec.Name == name })
		if r.Labels == nil || i < 0 {
			continue
		}
		r.Values = []float64{}
		for k, label := range r.Labels {
			v, ok := specs[i].Value(label)
			if !ok {
				f.add(fmt.Sprintf("param_space.%s[%d]", name, k), specs[i].Labels, "%q is not a choice of the parameter", label)
				return nil
			}
			r.Values = append(r.Values, v)
		}
		r.Labels = nil
		ranges[name] = r
	}
	return ranges
}

// Stamp is the spec's part of the numbers of a program: those of scripts' semantics concern scripts only.
func (s Spec) Stamp(program backtest.Stamp) backtest.Stamp {
	if !s.scripted() {
		program.Semantics = ""
	}
	return program
}
