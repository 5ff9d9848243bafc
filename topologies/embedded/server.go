package embedded

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/logger"
	"github.com/nats-io/nats-server/v2/server"
)

// The files a node is started with, beside its standard ones. Standard output and error are its log,
// so that a panic's trace is captured as well.
const (
	lifelineFile = 3 // read end: it ends when the parent does, however that happens
	statusFile   = 4 // write end: ready, or why not
)

// ready is what a node writes to its status file once it listens. Anything else is an error's text.
const ready = "ready\n"

// startLimit is how long a server may take to open its listeners. It is there to end a node that hangs;
// the parent's own deadline is shorter as a rule. A start takes some 50 ms, recovering a large store seconds.
const startLimit = 2 * time.Minute

// retire is the signal for lame duck mode, nats-server's own.
const retire = syscall.SIGUSR2

// beNode is the whole life of a node process: one nats-server with the configuration file in args.
func beNode(args []string) int {
	go func() {
		io.Copy(io.Discard, os.NewFile(lifelineFile, "lifeline")) // nothing is ever written: this ends with the parent
		os.Exit(1)
	}()
	return serve(args, os.NewFile(statusFile, "status"))
}

// silence is the status of a node that nobody listens to.
type silence struct{}

func (silence) Write(p []byte) (int, error) { return len(p), nil }
func (silence) Close() error                { return nil }

// serve runs one nats-server until it is shut down, and says how that goes.
func serve(args []string, status io.WriteCloser) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	leave := make(chan os.Signal, 1)
	signal.Notify(leave, retire)

	s, err := newServer(args, status)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		fmt.Fprintln(status, err)
		return 1
	}
	go func() {
		<-stop
		s.Shutdown()
		s.WaitForShutdown()
		os.Exit(0) // also where the wait below is for listeners that will not open any more
	}()
	go func() {
		<-leave
		s.LameDuckShutdown() // which ends in a shutdown
	}()
	s.Start()
	if !s.ReadyForConnections(startLimit) {
		fmt.Fprintf(status, "not listening after %v\n", startLimit)
		return 1
	}
	io.WriteString(status, ready)
	status.Close()
	s.WaitForShutdown()
	return 0
}

func newServer(args []string, status io.Writer) (*server.Server, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("a node is started with its configuration file and nothing else, not with %q", args)
	}
	opts, err := server.ProcessConfigFile(args[0])
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	opts.NoSigs = true // one signal handler a process, and it is ours
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("making a server of the configuration: %w", err)
	}
	s.SetLoggerV2(&nodeLog{logger.NewStdLogger(true, opts.Debug, opts.Trace, false, false), status},
		opts.Debug, opts.Trace, opts.TraceVerbose)
	return s, nil
}

// nodeLog is the server's usual log, except that what ends the process is said to the parent too.
type nodeLog struct {
	*logger.Logger
	status io.Writer
}

func (l *nodeLog) Fatalf(format string, v ...any) {
	fmt.Fprintf(l.status, format+"\n", v...)
	l.Logger.Fatalf(format, v...) // exits
}
