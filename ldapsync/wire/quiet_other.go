//go:build !linux

package wire

import (
	"net"
	"time"
)

// wakeAt is for kernels that wake who does not wait.
func wakeAt(*net.TCPConn, int) bool { return false }

func readNow(*net.TCPConn, []byte) int { return 0 }

func sleep(d time.Duration) { time.Sleep(d) }
