package sqldtest

import "syscall"

// diesWithParent ends the server with the test binary, however that ends.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
