package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lbtest/lbtest/cmd/internal/backend"
)

func (p *program) backendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backend --listen ADDR [flags]",
		Short: "stand in for the servers behind a real load balancer",
		Long: "backend is a stand-in that speaks as much NATS as lbtest validate needs. Put it in rotation behind a real load\n" +
			"balancer, in the place of the servers, and run lbtest validate --backend against the balancer:\n\n" +
			"  lbtest validate --backend ──► the load balancer ──► lbtest backend\n\n" +
			"It sends no PING of its own, so that idle limits are measured which a server's PINGs hide, and it tells the\n" +
			"tester, over the same connection, what it saw of the other end: source addresses and ports, PROXY headers,\n" +
			"health checks, and how each connection ended there. It lets everybody in and keeps nothing of what they\n" +
			"show; it stores no messages. It is for tests: take it away afterwards. With --tlscert and --tlskey it speaks\n" +
			"TLS as a nats-server does, after its first line or, with --tlsfirst, before it, and asks nobody for a\n" +
			"certificate. It runs until SIGINT or SIGTERM, and exits with 0 then, 2 on bad usage or an address that\n" +
			"cannot be had, 3 if lbtest itself failed.",
		Example: "  lbtest backend --listen :4222\n" +
			"  lbtest backend --listen 10.0.0.1:4222 --listen 10.0.0.1:4223 --verbose\n" +
			"  lbtest backend --listen :4222 --tlscert lb.pem --tlskey lb.key\n" +
			"  lbtest validate -s nats://lb.example.com:4222 --backend",
		Args: noArguments,
	}
	f := backendFlagsOf(cmd)
	completeFlags(cmd, nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.standIn(cmd.Context(), f) }
	return cmd
}

// standIn runs one stand-in until a signal or the context ends it.
func (p *program) standIn(ctx context.Context, f *backendFlags) error {
	if len(f.listen) == 0 {
		return errors.New("lbtest backend: where? Give --listen ADDR, as in --listen :4222")
	}
	encrypted, err := f.encryption()
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	log := &lines{out: p.err, quiet: f.quiet}
	var note func(backend.Connection)
	if f.verbose {
		note = func(c backend.Connection) { log.say("%s", obituary(c)) }
	}
	b, err := backend.Listen(f.listen, encrypted, note)
	if err != nil {
		return err // an address that cannot be had is the user's to change
	}
	for _, addr := range b.Addrs() {
		log.say("standing in at %s", addr)
	}
	if err := b.Serve(ctx); err != nil {
		return failure{fmt.Errorf("ending the stand-in: %w", err)}
	}
	return nil
}

// encryption reads the files of TLS. Its errors are the user's.
func (f *backendFlags) encryption() (backend.Encryption, error) {
	switch {
	case (f.cert == "") != (f.key == ""):
		return backend.Encryption{}, errors.New("--tlscert and --tlskey go together: one of them is missing")
	case f.cert == "" && f.first:
		return backend.Encryption{}, errors.New("--tlsfirst takes a certificate: --tlscert and --tlskey")
	case f.cert == "":
		return backend.Encryption{}, nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return backend.Encryption{}, fmt.Errorf("reading --tlscert and --tlskey: %w", err)
	}
	return backend.Encryption{Config: &tls.Config{Certificates: []tls.Certificate{pair}}, First: f.first}, nil
}

// obituary is a connection that is over, in a line.
func obituary(c backend.Connection) string {
	text := c.From
	if c.Header != "" {
		text += " (PROXY " + c.Header + ")"
	}
	switch c.First {
	case "":
		text += " said nothing"
	default:
		text += " spoke " + c.First
	}
	return fmt.Sprintf("%s, ended by %s after %s, %s of them quiet", text, c.End, c.Lasted().Round(time.Millisecond), time.Duration(c.Quiet).Round(time.Millisecond))
}
