package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantops/reconciler/deploy"
	"github.com/tenantops/reconciler/protocol"
)

func snapshotsCommand(c *cli) *cobra.Command {
	command := &cobra.Command{
		Use:   "snapshots [TENANT]",
		Short: "copies of tenants' databases, made before rows were put at stake",
		Long: `List the snapshots in DIR/snapshots, of one tenant or of all: when each was taken,
and the deployment that the tenant had then. A snapshot has the id of the
deployment, or of the restore, that it was taken for.

It reads the copies alone, and works while the daemon runs.`,
		Example: `  reconciler snapshots --data ./data
  reconciler snapshots --data ./data acme -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: c.start(func(ctx context.Context, args []string) error {
			if err := c.needData(); err != nil {
				return err
			}
			tenant := ""
			if len(args) == 1 {
				tenant = args[0]
			}
			found, err := c.snapshots().List(protocol.TenantID(tenant))
			if err != nil {
				return err
			}
			answer := snapshotsAnswer{Snapshots: []snapshotAnswer{}}
			for _, s := range found {
				answer.Snapshots = append(answer.Snapshots, snapshotAnswerOf(ctx, s))
			}
			return c.print(answer, answer.people)
		}),
	}
	setting(command, "data")
	return command
}

// snapshotsAnswer are the snapshots by tenant, each tenant's oldest first.
type snapshotsAnswer struct {
	Snapshots []snapshotAnswer `json:"snapshots"`
}

// snapshotAnswer is one copy and what it holds.
type snapshotAnswer struct {
	Tenant       protocol.TenantID `json:"tenant"`
	ID           string            `json:"id"`
	TakenAt      *stamp            `json:"takenAt"`
	SizeBytes    int64             `json:"sizeBytes"`
	DeploymentID *string           `json:"deploymentId"`
	Revision     *string           `json:"revision"`
	BundleDigest *string           `json:"bundleDigest"`
	Error        *problem          `json:"error"`
}

func snapshotAnswerOf(ctx context.Context, s deploy.Snapshot) snapshotAnswer {
	answer := snapshotAnswer{Tenant: s.Tenant, ID: s.ID, TakenAt: stampOf(s.TakenAt), SizeBytes: s.Size}
	heard, err := placedTenant{place: place{Path: s.Path}, tenant: s.Tenant}.hear(ctx, false)
	if err != nil {
		failed := deploy.Fail(err)
		answer.Error = problemOf(failed.Reason, failed.Message, "delete the file: it cannot be restored")
		return answer
	}
	if last := heard.Record.Last; last != nil {
		answer.DeploymentID, answer.Revision, answer.BundleDigest = &last.Deployment, optional(last.Revision), &last.Bundle
	}
	return answer
}

func (a snapshotsAnswer) people(p *page) {
	if len(a.Snapshots) == 0 {
		p.line("there are no snapshots")
	}
	var rows [][]string
	for _, s := range a.Snapshots {
		rows = append(rows, []string{
			string(s.Tenant), s.ID, s.TakenAt.String(), bytesOf(s.SizeBytes),
			orDash(text(s.DeploymentID)), orDash(short(text(s.Revision))), orDash(short(text(s.BundleDigest))),
		})
	}
	p.table([]string{"TENANT", "SNAPSHOT", "TAKEN", "SIZE", "DEPLOYMENT", "REVISION", "BUNDLE"}, rows)
	for _, s := range a.Snapshots {
		if s.Error != nil {
			p.line("")
			p.problem(string(s.Tenant)+" "+s.ID, s.Error)
		}
	}
}

// bytesOf is a size for people.
func bytesOf(n int64) string {
	size, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for size >= 1024 && len(units) > 1 {
		size, units = size/1024, units[1:]
	}
	return fmt.Sprintf("%.0f %s", size, units[0])
}
