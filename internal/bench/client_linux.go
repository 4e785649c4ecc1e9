package main

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// socket is a connection whose reads wait in the kernel, and the runtime does not know it. Its own reads ask in vain first, then wait
// for whatever there is to wait for, and the thread that finds an answer wakes another one. Of reads that it knows to wait it takes
// the processor away, and has to be woken when they are done.
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

// Read reports a timeout as EAGAIN. Nothing else of this process may be needed for the answer.
func (s *socket) Read(b []byte) (int, error) {
	var interrupted time.Time // each time the kernel begins to count anew
	for {
		n, _, err := syscall.RawSyscall(syscall.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // as read(2) wants it
		switch {
		case err == syscall.EINTR && interrupted.IsZero():
			interrupted = time.Now()
		case err == syscall.EINTR && time.Since(interrupted) < patience:
		case err != 0:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return int(n), nil
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
