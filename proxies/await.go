package proxies

import (
	"context"
	"time"
)

// await holds a connection, of which nothing is read, until ready is closed. It ends early with the instance, and when
// the client hangs up: then gone says how it went. A client that says it will send no more has hung up, too: nobody
// who still waits for a server does that.
func (f *Flow) await(ctx context.Context, ready <-chan struct{}) (gone Ending, err error) {
	if err := f.client.native(); err != nil {
		return "", err
	}
	left := make(chan Ending, 1)
	go func() { left <- f.client.leaves() }()
	select {
	case gone = <-left:
		// As every end, this one is heard of only by a balancer that is not stalled.
		f.clock.running(ctx.Done())
		return gone, nil
	case <-ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	f.client.conn.SetReadDeadline(time.Unix(1, 0))
	<-left
	f.client.readAgain()
	return "", err
}

// leaves waits until the far end has gone, and says how. If it is interrupted its answer means nothing.
func (l *leg) leaves() Ending {
	if err := l.readAhead(); err != nil {
		return endingOf(err)
	}
	how, err := l.waitHangup()
	if err != nil {
		return endingOf(err)
	}
	return how
}
