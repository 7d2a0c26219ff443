package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"millrace/jobs/invalid"
)

// MaxVariants is how many tunes one run plan may have.
const MaxVariants = 100

// Variations say how the variants of a run plan differ from its base, a tune body. A path names a
// member, dots lead into objects: "account.commission".
type Variations struct {
	Overrides []jsontext.Value            // each a merge patch (RFC 7396) of the base
	Grid      map[string][]jsontext.Value // values by path; every combination is a variant
	Ablations []string                    // paths taken out of the base, one at a time
}

// The kinds of variants.
const (
	VariantBaseline = "baseline"
	VariantOverride = "override"
	VariantGrid     = "grid"
	VariantAblation = "ablation"
)

// VariantKinds lists them.
func VariantKinds() []string {
	return []string{VariantBaseline, VariantOverride, VariantGrid, VariantAblation}
}

// Variant is one of them.
type Variant struct {
	ID        string // first 16 hex digits of the SHA-256 of canonical {base, overrides}
	Kind      string
	Label     string
	Overrides jsontext.Value // the least merge patch that makes the variant of the base
	Body      jsontext.Value // the base so patched
}

// Variants lists the baseline, the overrides, the grid in order of its paths, the last fastest, and
// the ablations. Variants that come to the same are one, the first.
func Variants(base jsontext.Value, v Variations) ([]Variant, []invalid.FieldError) {
	var f faults
	patches := v.patches(base, &f)
	if len(f) > 0 {
		return nil, f
	}
	var variants []Variant
	seen := map[string]bool{}
	for _, p := range patches {
		variant, err := newVariant(base, p)
		if err != nil {
			f.add(p.field, nil, "%v", err)
			continue
		}
		if !seen[variant.ID] {
			seen[variant.ID] = true
			variants = append(variants, variant)
		}
	}
	return variants, f
}

// patch is a variant before it is worked out.
type patch struct {
	field, kind, label string
	value              jsontext.Value
}

func (v Variations) patches(base jsontext.Value, f *faults) []patch {
	all := []patch{{"base", VariantBaseline, "baseline", jsontext.Value("{}")}}
	for i, value := range v.Overrides {
		field := fmt.Sprintf("overrides[%d]", i)
		if value.Kind() != '{' {
			f.add(field, nil, "must be an object: members of a tune body that differ")
			continue
		}
		all = append(all, patch{field, VariantOverride, shorten(string(value)), value})
	}
	combinations := 1
	for _, path := range slices.Sorted(maps.Keys(v.Grid)) {
		if len(v.Grid[path]) == 0 {
			f.add("grid."+path, nil, "is an empty list")
			return nil
		}
		if combinations *= len(v.Grid[path]); combinations > MaxVariants {
			f.add("grid", MaxVariants, "has more than %d combinations", MaxVariants)
			return nil
		}
	}
	if len(v.Grid) > 0 {
		for i := range combinations {
			all = append(all, v.combination(i))
		}
	}
	for i, path := range v.Ablations {
		all = append(all, patch{fmt.Sprintf("ablations[%d]", i), VariantAblation, "without " + shorten(path), nest(path, jsontext.Value("null"))})
		if !has(base, path) {
			f.add(fmt.Sprintf("ablations[%d]", i), nil, "base has no %q to take out", path)
		}
	}
	if len(all) > MaxVariants {
		f.add("overrides", MaxVariants, "grid and ablations make %d variants, more than %d", len(all), MaxVariants)
	}
	return all
}

// combination is the i-th point of the grid.
func (v Variations) combination(i int) patch {
	p := patch{field: "grid", kind: VariantGrid, value: jsontext.Value("{}")}
	paths := slices.Sorted(maps.Keys(v.Grid))
	labels := make([]string, len(paths))
	for k := len(paths) - 1; k >= 0; k-- {
		values := v.Grid[paths[k]]
		value := values[i%len(values)]
		i /= len(values)
		labels[k] = paths[k] + "=" + string(value)
		p.value, _ = merge(p.value, nest(paths[k], value), keepNull)
	}
	p.label = shorten(strings.Join(labels, ", "))
	return p
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return text
}

func newVariant(base jsontext.Value, p patch) (Variant, error) {
	v := Variant{Kind: p.kind, Label: p.label, Overrides: jsontext.Value("{}")}
	least, changes, err := minimal(base, p.value)
	if err != nil {
		return v, err
	}
	if changes {
		v.Overrides = least
	}
	if v.Body, err = merge(base, v.Overrides, dropNull); err != nil {
		return v, err
	}
	whole, err := json.Marshal(map[string]jsontext.Value{"base": base, "overrides": v.Overrides})
	if err != nil {
		return v, fmt.Errorf("encode variant: %w", err)
	}
	canonical := jsontext.Value(whole)
	if err := canonical.Canonicalize(); err != nil {
		return v, fmt.Errorf("canonical form: %w", err)
	}
	sum := sha256.Sum256(canonical)
	v.ID = hex.EncodeToString(sum[:8])
	return v, nil
}

// nest wraps a value in the objects that its path leads through.
func nest(path string, value jsontext.Value) jsontext.Value {
	parts := strings.Split(path, ".")
	for i := len(parts) - 1; i >= 0; i-- {
		value, _ = json.Marshal(map[string]jsontext.Value{parts[i]: value}) // values were parsed before
	}
	return value
}

// has reports whether a body has the member at a path, and it is not null.
func has(body jsontext.Value, path string) bool {
	for part := range strings.SplitSeq(path, ".") {
		members, err := membersOf(body)
		if err != nil || members[part] == nil {
			return false
		}
		body = members[part]
	}
	return body.Kind() != 'n'
}

func membersOf(value jsontext.Value) (map[string]jsontext.Value, error) {
	members := map[string]jsontext.Value{}
	if value.Kind() != '{' {
		return members, nil
	}
	if err := json.Unmarshal(value, &members); err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	return members, nil
}

// nullRule says what merge does with a member that the patch sets to null.
type nullRule int

const (
	dropNull nullRule = iota // RFC 7396: take it out
	keepNull                 // when patches are merged to one
)

// merge applies a merge patch (RFC 7396).
func merge(to, patch jsontext.Value, nulls nullRule) (jsontext.Value, error) {
	if patch.Kind() != '{' {
		return patch, nil
	}
	members, err := membersOf(to)
	if err != nil {
		return nil, err
	}
	changes, err := membersOf(patch)
	if err != nil {
		return nil, err
	}
	for name, change := range changes {
		if change.Kind() == 'n' && nulls == dropNull {
			delete(members, name)
			continue
		}
		old := members[name]
		if old == nil {
			old = jsontext.Value("null")
		}
		if members[name], err = merge(old, change, nulls); err != nil {
			return nil, err
		}
	}
	merged, err := json.Marshal(members, json.Deterministic(true))
	return merged, err
}

// minimal is the part of a patch that changes the base, so that an override that says what the base
// says already makes no variant of its own.
func minimal(base, patch jsontext.Value) (least jsontext.Value, changes bool, err error) {
	if patch.Kind() != '{' {
		return patch, !same(base, patch), nil
	}
	members, err := membersOf(base)
	if err != nil {
		return nil, false, err
	}
	wanted, err := membersOf(patch)
	if err != nil {
		return nil, false, err
	}
	kept := map[string]jsontext.Value{}
	for name, change := range wanted {
		old, there := members[name]
		if change.Kind() == 'n' {
			if there && old.Kind() != 'n' {
				kept[name] = change
			}
			continue
		}
		if !there {
			old = jsontext.Value("null")
		}
		part, differs, err := minimal(old, change)
		if err != nil {
			return nil, false, err
		}
		if differs {
			kept[name] = part
		}
	}
	least, err = json.Marshal(kept, json.Deterministic(true))
	return least, len(kept) > 0 || base.Kind() != '{', err
}

// same reports whether two values are equal in their canonical form.
func same(a, b jsontext.Value) bool {
	x, y := a.Clone(), b.Clone()
	return x.Canonicalize() == nil && y.Canonicalize() == nil && string(x) == string(y)
}
