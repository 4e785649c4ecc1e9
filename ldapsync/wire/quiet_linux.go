package wire

import (
	"net"
	"syscall"
)

// wakeAt has the kernel keep quiet until so many bytes can be read: otherwise it wakes the process for each message, whether somebody
// waits for it or not, at the expense of both ends.
func wakeAt(raw net.Conn, bytes int) {
	c, ok := raw.(syscall.Conn)
	if !ok {
		return
	}
	if rc, err := c.SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) { //nolint:errcheck // a connection that is closed says so when it is read
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes) //nolint:errcheck // it only saves work
		})
	}
}
