package main

import (
	"log/slog"
	"time"

	"github.com/lmittmann/tint"

	"github.com/tenantops/reconciler/config"
)

// The attributes of logs: one word for one thing.
const (
	attrRepo       = "repo"
	attrData       = "data"
	attrPoll       = "poll"
	attrTenant     = "tenant"
	attrRevision   = "revision"
	attrPlan       = "plan" // digest, 12 hex
	attrDeployment = "deployment"
	attrSteps      = "steps"
	attrStatus     = "status"
	attrReason     = "reason"
	attrNext       = "next"
	attrTenants    = "tenants"
	attrChanged    = "changed"
	attrFailed     = "failed"
	attrElapsed    = "elapsed_ms"
	attrErr        = "err"
	attrSetting    = "setting"
	attrAddress    = "address"
	attrTimeout    = "timeout"
	attrRequest    = "request" // on the control socket
)

// logger writes to stderr in the form that the settings ask for.
func (c *cli) logger() *slog.Logger {
	text := c.settings.LogFormat == config.LogText
	if c.settings.LogFormat == config.LogAuto {
		text = isTerminal(c.stderr)
	}
	if !text {
		return slog.New(slog.NewJSONHandler(c.stderr, &slog.HandlerOptions{Level: &c.logLevel}))
	}
	return slog.New(tint.NewTextHandler(c.stderr, &tint.Options{
		Level: &c.logLevel, TimeFormat: time.TimeOnly, NoColor: !colored(c.stderr),
	}))
}
