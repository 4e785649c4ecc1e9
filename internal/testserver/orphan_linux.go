package testserver

import (
	"os/exec"
	"syscall"
)

// withParent makes the server end with the test binary, however that ends: a test that runs into its timeout cleans
// nothing up.
func withParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
