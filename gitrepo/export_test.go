package gitrepo

import "context"

// CompactNow is Compact, however few loose objects there are.
func CompactNow(r *Repo) (int, error) { return r.compact(context.Background()) }
