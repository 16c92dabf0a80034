package apply

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// App is an app that a tenant has, as its database records it.
type App struct {
	Name         string         `json:"name"`
	Version      string         `json:"version,omitempty"`
	Dependencies []string       `json:"dependencies,omitempty"`
	Implied      bool           `json:"implied,omitempty"` // there because others need it, and for nothing else
	Config       map[string]any `json:"config,omitempty"`  // settings that it was installed with
}

// Apps are the apps of a tenant, in order of name.
type Apps []App

// ParseApps reads what Apps.JSON wrote. Empty text is that of a database in
// which no apps are recorded.
func ParseApps(text string) (Apps, error) {
	var apps Apps
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &apps); err != nil {
		return nil, fmt.Errorf("read the database's record of apps: %w", err)
	}
	return apps, nil
}

// JSON returns the record as text, the same for the same apps.
func (a Apps) JSON() (string, error) {
	slices.SortFunc(a, func(a, b App) int { return strings.Compare(a.Name, b.Name) })
	if a == nil {
		a = Apps{}
	}
	text, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("record apps: %w", err)
	}
	return string(text), nil
}

// Find returns the app of a name.
func (a Apps) Find(name string) (App, bool) {
	at := slices.IndexFunc(a, func(app App) bool { return app.Name == name })
	if at < 0 {
		return App{}, false
	}
	return a[at], true
}

// Needing names the apps that depend on one.
func (a Apps) Needing(name string) (names []string) {
	for _, app := range a {
		if slices.Contains(app.Dependencies, name) {
			names = append(names, app.Name)
		}
	}
	return names
}
