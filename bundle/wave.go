package bundle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenantops/reconciler/config"
)

// emptyWaves warns of waves whose labels no tenant has: a label that is written
// in another way makes a wave of nobody, and what was to be tried on a few goes to
// all at once.
func (l *loader) emptyWaves() {
	for i, wave := range l.fleet.Config.Rollout.Waves {
		if len(wave.Match) == 0 || slices.ContainsFunc(l.fleet.Tenants, func(t *Tenant) bool { return labelled(t, wave.Match) }) {
			continue
		}
		l.fleet.Faults = append(l.fleet.Faults, l.fleetDocument().Warning([]any{"rollout", "waves", i, "match"}, codeWaveEmpty,
			fmt.Sprintf("no tenant has the labels of wave %q (%s)", wave.Name, labelsOf(wave.Match)), "correct the labels here or in a tenant.yaml"))
	}
}

// labelled tells that a tenant has all of some labels.
func labelled(t *Tenant, want map[string]string) bool {
	for key, value := range want {
		if got, ok := t.Spec.Labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

func labelsOf(match map[string]string) string {
	var labels []string
	for _, key := range slices.Sorted(maps.Keys(match)) {
		labels = append(labels, key+"="+match[key])
	}
	return strings.Join(labels, ", ")
}

// fleetDocument is fleet.yaml with its places, read anew: it is seldom needed.
func (l *loader) fleetDocument() config.Document {
	data, _ := l.tree.read(fleetFile) // it has just been read
	documents, _ := config.Documents(fleetFile, data)
	if len(documents) == 0 {
		return config.Document{File: fleetFile}
	}
	return documents[0]
}
