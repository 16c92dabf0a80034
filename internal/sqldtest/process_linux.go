package sqldtest

import "syscall"

// diesWithParent ends the server with the test binary, however that ends.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// moreFiles lets the server open as many files as this process may. Go has raised
// its own limit to the most, and gives children the old one unless it is set.
func moreFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
