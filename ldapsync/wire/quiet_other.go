//go:build !linux

package wire

import "net"

// wakeAt is for kernels that wake who does not wait.
func wakeAt(net.Conn, int) {}
