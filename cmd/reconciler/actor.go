package main

import (
	"fmt"
	"os"
	"os/user"
)

// Through what something was done, in the record of it.
const (
	viaCLI    = "cli"
	viaDaemon = "daemon"
	viaAPI    = "api"
	viaPull   = "pull request"
)

// actor is who does this: what --actor and the like say, else the user of the
// operating system. It is a claim: whoever may write to the data directory may
// write any name.
func (c *cli) actor() string {
	if c.settings.Actor != "" {
		return c.settings.Actor
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}
