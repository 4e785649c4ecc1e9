//go:build unix

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// socket is a connection whose reads wait in the kernel. The runtime's own reads ask in vain first, and then wait for whatever there
// is to wait for; the thread that finds an answer has to wake another one.
type socket struct{ fd int }

// blocking takes the connection over.
func blocking(conn net.Conn, patience time.Duration) (io.ReadWriteCloser, error) {
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(fd)
	limit := syscall.NsecToTimeval(int64(patience))
	err = errors.Join(os.NewSyscallError("setnonblock", syscall.SetNonblock(fd, false)),
		os.NewSyscallError("setsockopt", syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit)),
		os.NewSyscallError("setsockopt", syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit)))
	if err != nil {
		return nil, errors.Join(err, syscall.Close(fd))
	}
	return &socket{fd}, nil
}

// Read reports a timeout as EAGAIN.
func (s *socket) Read(b []byte) (int, error) {
	for {
		n, err := syscall.Read(s.fd, b)
		switch {
		case err == syscall.EINTR: //nolint:errorlint // as the kernel returned it
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s *socket) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		n, err := syscall.Write(s.fd, b[done:])
		if err != nil && err != syscall.EINTR { //nolint:errorlint // as the kernel returned it
			return done, os.NewSyscallError("write", err)
		}
		done += max(n, 0)
	}
	return len(b), nil
}

func (s *socket) Close() error { return os.NewSyscallError("close", syscall.Close(s.fd)) }
