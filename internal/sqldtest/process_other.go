//go:build !linux

package sqldtest

import "syscall"

func diesWithParent() *syscall.SysProcAttr { return nil }

func moreFiles() error { return nil }
