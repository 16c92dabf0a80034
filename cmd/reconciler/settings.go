package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tenantops/reconciler/config"
	"github.com/tenantops/reconciler/gitrepo"
	"github.com/tenantops/reconciler/secret"
)

// settingsFile is read from the working directory when --config names no other.
const settingsFile = "reconciler.yaml"

// settingFlags are the flags that say what RECONCILER_* variables and
// reconciler.yaml can say too, by name, with the key there.
var settingFlags = map[string]struct{ key, usage string }{
	"data":              {"data", "data `directory`: state.db, tenants/, git/"},
	"repo":              {"repo", "git repository: a path, or a file, https or ssh `URL`"},
	"ref":               {"ref", "`branch`, tag or commit to follow (default main)"},
	"poll":              {"poll", "`time` between looks at the repository (default 60s)"},
	"look":              {"look", "`time` between looks at the databases of tenants that git wants nothing new of (default 5m)"},
	"secrets-dir":       {"secretsDir", "`directory` of the files that $file: names"},
	"age-identity-file": {"age.identityFile", "`file` of age identities, which open $age: values"},
	"file-root":         {"fileRoot", "`directory` that file: URLs of tenants may lead to, beside the data directory"},
	"actor":             {"actor", "`name` of who does this, for the record (default: the user of the operating system)"},
	"listen":            {"server.listen", "`address` to serve the HTTP API on, such as 127.0.0.1:8080 (default: none)"},
	"shutdown-timeout":  {"shutdownTimeout", "`time` that what is under way has to end after SIGTERM (default 30s)"},
	"log-format":        {"logFormat", "`form` of the log: text, json, or auto (default) for text on a terminal"},
}

// setting adds flags of settingFlags to a command. One that reads secrets from
// files can be given the key of encrypted ones too.
func setting(command *cobra.Command, names ...string) {
	if slices.Contains(names, "secrets-dir") {
		names = append(slices.Clone(names), "age-identity-file")
	}
	for _, name := range names {
		command.Flags().String(name, "", settingFlags[name].usage)
	}
}

// loadSettings reads what applies to a command: its flags over the environment
// over reconciler.yaml. A command without such flags needs none.
func (c *cli) loadSettings(flags *pflag.FlagSet) error {
	from := config.Sources{Flags: map[string]string{}, Env: os.Environ(), File: c.configFile}
	needed := false
	flags.VisitAll(func(f *pflag.Flag) {
		s, ok := settingFlags[f.Name]
		if needed = needed || ok; ok && f.Changed {
			from.Flags[s.key] = f.Value.String()
		}
	})
	if !needed {
		return nil
	}
	var err error
	if from.Data, err = readSettings(&from.File); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	settings, faults := config.Load(from)
	c.settings = settings
	if err := settingsError(faults); err != nil {
		return err
	}
	for _, f := range faults { // only warnings are left
		c.logger().Warn("setting not used", attrSetting, f.File, attrReason, f.Message, attrNext, f.Next)
	}
	return nil
}

// settingsError is everything that is wrong with settings, each with the flag,
// the variable or the place in the file that says it. A flag is wrong usage.
func settingsError(faults []config.Fault) error {
	var wrong []error
	usage := false
	for _, f := range faults {
		if !f.IsError() {
			continue
		}
		key, isFlag := strings.CutPrefix(f.File, "flag ")
		for name, s := range settingFlags {
			if isFlag && s.key == key {
				usage, f.File = true, "--"+name
			}
		}
		if isFlag || strings.HasPrefix(f.File, "RECONCILER_") {
			wrong = append(wrong, fmt.Errorf("%s: %s (%s)", f.File, f.Message, f.Next))
		} else {
			wrong = append(wrong, f)
		}
	}
	switch {
	case usage:
		return usageError{errors.Join(wrong...)}
	case len(wrong) > 0:
		return misconfigured{errors.Join(wrong...)}
	}
	return nil
}

// readSettings reads the settings file. Only one that was asked for by name
// has to exist.
func readSettings(name *string) ([]byte, error) {
	if *name != "" {
		return os.ReadFile(*name)
	}
	*name = settingsFile
	text, err := os.ReadFile(settingsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// secrets is where references to secrets are resolved.
func (c *cli) secrets() secret.Keeper {
	return secret.Keeper{Dir: c.settings.SecretsDir, IdentityFile: c.settings.Age.IdentityFile}
}

// auth is how the repository is asked for access. A token in a file is left
// there, and read again at each fetch.
func (c *cli) auth() (gitrepo.Auth, error) {
	git, keeper := c.settings.Git, c.secrets()
	auth := gitrepo.Auth{Username: git.Username, KeyFile: git.KeyFile, KnownHosts: git.KnownHosts}
	var err error
	if file, ok := git.Token.File(keeper.Dir); ok && keeper.Dir != "" {
		auth.TokenFile = file
	} else if auth.Token, err = keeper.Resolve(git.Token); err != nil {
		return auth, fmt.Errorf("git.token: %w", err)
	}
	if auth.KeyPassphrase, err = keeper.Resolve(git.KeyPassphrase); err != nil {
		return auth, fmt.Errorf("git.keyPassphrase: %w", err)
	}
	return auth, nil
}
