package bundle

import (
	"fmt"

	"github.com/Masterminds/semver/v3"
)

// CompareVersions orders two versions by semver.org: it is negative when a is
// older than b. Parts that are left out count as 0. Text that is no version is
// an error.
func CompareVersions(a, b string) (int, error) {
	x, err := semver.NewVersion(a)
	if err != nil {
		return 0, fmt.Errorf("%q is not a version: %w", a, err)
	}
	y, err := semver.NewVersion(b)
	if err != nil {
		return 0, fmt.Errorf("%q is not a version: %w", b, err)
	}
	return x.Compare(y), nil
}

// kernel finds an app that wants a newer kernel than fleet.yaml says there is.
func (l *loader) kernel(a *app) []Fault {
	has, wants := l.fleet.Config.KernelVersion, a.manifest.MinKernelVersion
	if has == "" || wants == "" {
		return nil
	}
	order, err := CompareVersions(wants, has)
	path := []any{"minKernelVersion"}
	switch {
	case err != nil:
		return []Fault{a.document.Error(path, codeKernelVersion, err.Error(), `write it like "4.0.1"`)}
	case order > 0:
		return []Fault{a.document.Error(path, codeKernelVersion,
			fmt.Sprintf("app %q wants kernel %s or newer, and kernelVersion of fleet.yaml is %s", a.name, wants, has),
			"upgrade the kernel and say so in fleet.yaml, or use an older version of the app")}
	}
	return nil
}
