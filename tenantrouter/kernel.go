package tenantrouter

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/tenantops/reconciler/protocol"
)

// kernelOf fills in what an application has left out of its kernel context.
func kernelOf(k protocol.KernelContext, now time.Time) (protocol.KernelContext, error) {
	if k.Cwd == "" {
		dir, err := os.Getwd()
		if err != nil {
			return k, fmt.Errorf("find the working directory: %w", err)
		}
		k.Cwd = dir
	}
	if k.Version == "" {
		k.Version = "unknown"
		if build, ok := debug.ReadBuildInfo(); ok {
			k.Version = cmp.Or(build.Main.Version, k.Version)
		}
	}
	k.InstanceID = cmp.Or(k.InstanceID, newInstance())
	k.Mode = cmp.Or(k.Mode, protocol.ModeProduction)
	k.StartTime = cmp.Or(k.StartTime, now.UnixMilli())
	if k.Features == nil {
		k.Features = map[string]bool{}
	}
	return k, nil
}

// newInstance is a random UUID, version 4 of RFC 9562.
func newInstance() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
