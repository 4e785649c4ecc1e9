package wire

import (
	"net"
	"syscall"
	"time"
)

// wakeAt has the kernel keep quiet until so many bytes can be read: otherwise it wakes the process for each message, whether somebody
// waits for it or not, at the expense of both ends. It is false when the kernel goes on as before.
func wakeAt(tcp *net.TCPConn, bytes int) bool {
	done := false
	onSocket(tcp, func(fd int) { done = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes) == nil })
	return done
}

// readNow reads what there is, and does not wait. An end or an error is nothing: who waits is told.
func readNow(tcp *net.TCPConn, b []byte) (n int) {
	onSocket(tcp, func(fd int) { n, _ = syscall.Read(fd, b) })
	return max(n, 0)
}

func onSocket(tcp *net.TCPConn, do func(fd int)) {
	if rc, err := tcp.SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) { do(int(fd)) }) //nolint:errcheck // a connection that is closed says so when it is read
	}
}

// sleep leaves the thread where it is: to find it other work, and to be called back from that, costs more.
func sleep(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	syscall.Nanosleep(&ts, nil) //nolint:errcheck // it may be shorter
}
