package plan

import "slices"

// orderSets puts the sets of an object before those of every object that
// needs it, and keeps the order given otherwise: always among the sets of one
// object. Of a circle the set that was given first comes first.
func orderSets(sets []namedSet, needs map[string][]string) []namedSet {
	waiting := slices.Clone(sets)
	ordered := make([]namedSet, 0, len(sets))
	for len(waiting) > 0 {
		next := max(0, slices.IndexFunc(waiting, func(set namedSet) bool {
			return !slices.ContainsFunc(waiting, func(other namedSet) bool {
				return other.Object != set.Object && slices.Contains(needs[set.Object], other.Object)
			})
		}))
		ordered = append(ordered, waiting[next])
		waiting = slices.Delete(waiting, next, next+1)
	}
	return ordered
}

// needs lists, by object, the objects that its records refer to.
func (c *seedCompiler) needs() map[string][]string {
	needs := map[string][]string{}
	for _, set := range c.sets {
		for key, f := range c.objects[set.Object].Fields {
			has := func(record map[string]any) bool { return record[key] != nil }
			if isReference(f) && slices.ContainsFunc(set.Records, has) {
				needs[set.Object] = append(needs[set.Object], referenceTarget(set.Object, f))
			}
		}
	}
	return needs
}
