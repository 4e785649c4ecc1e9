package testserver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a server that is started, stopped, killed and started again.
type process struct {
	tb    testing.TB
	name  string
	ready func() bool // it answers, and it is ours: the port may have gone to another test's

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// Kill ends the server at once, as a crash would. It is harmless when the server has ended.
func (p *process) Kill() { p.end(syscall.SIGKILL) }

// Stop ends the server in good order.
func (p *process) Stop() { p.end(syscall.SIGTERM) }

// Pause stops the server from running without closing its connections; Resume lets it go on.
func (p *process) Pause() {
	p.tb.Helper()
	p.signal(syscall.SIGSTOP)
	// On a busy machine the process goes on for a while after the signal was sent.
	stat := fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)
	for range 6000 {
		text, err := os.ReadFile(stat)
		if err != nil { // not Linux
			time.Sleep(200 * time.Millisecond)
			return
		}
		if _, after, _ := strings.Cut(string(text), ") "); strings.HasPrefix(after, "T") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.tb.Fatalf("%s does not stop", p.name)
}

// Resume ends a Pause.
func (p *process) Resume() { p.signal(syscall.SIGCONT) }

// Start starts the server again after Kill or Stop, on the same ports and data.
func (p *process) Start() {
	p.tb.Helper()
	var err error
	for range 5 { // somebody may have had the port for a moment
		p.mu.Lock()
		p.cmd = again(p.cmd)
		p.mu.Unlock()
		if err = p.start(); err == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	p.tb.Fatalf("start %s again: %v", p.name, err)
}

// again is the same command, to be started once more.
func again(c *exec.Cmd) *exec.Cmd {
	fresh := exec.Command(c.Path, c.Args[1:]...)
	fresh.Env, fresh.Dir = c.Env, c.Dir
	return fresh
}

// start runs cmd and waits until the server answers.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out bytes.Buffer
	p.cmd.Stdout, p.cmd.Stderr = &out, &out
	withParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	cmd, done := p.cmd, make(chan struct{})
	p.done = done
	go func() { cmd.Wait(); close(done) }() //nolint:errcheck // how it ended does not matter, that it did does
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); {
		select {
		case <-done:
			return fmt.Errorf("%s ended: %s", p.name, out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if p.ready() {
			return nil
		}
	}
	cmd.Process.Kill()
	<-done
	return errors.New(p.name + " did not listen within three minutes: " + out.String())
}

func (p *process) end(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		return
	}
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.tb.Fatal(err)
	}
}
