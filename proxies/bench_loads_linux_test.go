package proxies_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

const (
	// sample is how long one load runs on one balancer in one round.
	sample = 500 * time.Millisecond
	// warming goes before it: connections' windows open and heaps find their size.
	warming = 100 * time.Millisecond
)

// measures are one sample's figures by the name of the metric.
type measures map[string]float64

// load is one kind of traffic.
type load struct {
	name string
	run  func(v *variant) (measures, error)
}

var loads = []load{
	{"16 B", func(v *variant) (measures, error) { return publish(v, 16) }},
	{"1 KB", func(v *variant) (measures, error) { return publish(v, 1<<10) }},
	{"64 KB", func(v *variant) (measures, error) { return publish(v, 64<<10) }},
	{"request", request},
	{"connect", connect},
	{"bulk", bulk},
}

// during counts what happens in one sample, once it is warm: how many, how long it took, and the balancer's CPU time.
func during(v *variant, count *atomic.Int64) (n float64, took, cpu time.Duration) {
	time.Sleep(warming)
	before, used, began := count.Load(), v.cpu(), time.Now()
	time.Sleep(sample)
	return float64(count.Load() - before), time.Since(began), v.cpu() - used
}

// publish is one publisher and one subscriber, both through the balancer, as fast as they can. What is under way is
// bounded, so that nobody drops and a fast publisher does not fill memory.
func publish(v *variant, size int) (measures, error) {
	sub, err := nats.Connect("nats://" + v.at.Nats)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	pub, err := nats.Connect("nats://" + v.at.Nats)
	if err != nil {
		return nil, err
	}
	defer pub.Close()
	var received atomic.Int64
	s, err := sub.Subscribe("bench", func(*nats.Msg) { received.Add(1) })
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.SetPendingLimits(-1, -1), sub.Flush()); err != nil {
		return nil, err
	}
	underWay := int64(min(64<<10, max(256, 16<<20/size)))
	over := make(chan struct{})
	var publishing sync.WaitGroup
	publishing.Go(func() {
		payload := make([]byte, size)
		for sent := int64(0); ; sent++ {
			for sent-received.Load() >= underWay {
				select {
				case <-over:
					return
				case <-time.After(50 * time.Microsecond):
				}
			}
			if sent%256 == 0 {
				select {
				case <-over:
					return
				default:
				}
			}
			if err = pub.Publish("bench", payload); err != nil {
				return
			}
		}
	})
	n, took, cpu := during(v, &received)
	close(over)
	publishing.Wait()
	if err != nil || n == 0 {
		return nil, fmt.Errorf("%v messages arrived, %v", n, err)
	}
	return measures{rate: n / took.Seconds() / 1000, cpuEach: float64(cpu.Nanoseconds()) / n}, nil
}

// request is one request and its answer after another, both sides through the balancer.
func request(v *variant) (measures, error) {
	responder, err := nats.Connect("nats://" + v.at.Nats)
	if err != nil {
		return nil, err
	}
	defer responder.Close()
	asker, err := nats.Connect("nats://" + v.at.Nats)
	if err != nil {
		return nil, err
	}
	defer asker.Close()
	payload := make([]byte, 128)
	if _, err := responder.Subscribe("ask", func(m *nats.Msg) { m.Respond(payload) }); err != nil {
		return nil, err
	}
	if err := responder.Flush(); err != nil {
		return nil, err
	}
	var took []float64
	ask := func(until time.Time) error {
		took = took[:0]
		for time.Now().Before(until) {
			began := time.Now()
			if _, err := asker.Request("ask", payload, 5*time.Second); err != nil {
				return err
			}
			took = append(took, float64(time.Since(began).Nanoseconds())/1000)
		}
		return nil
	}
	if err := ask(time.Now().Add(warming)); err != nil {
		return nil, err
	}
	used := v.cpu()
	if err := ask(time.Now().Add(sample)); err != nil {
		return nil, err
	}
	cpu := v.cpu() - used
	n := float64(len(took))
	slices.Sort(took)
	return measures{p50: quantile(took, 0.5), p99: quantile(took, 0.99), cpuEach: float64(cpu.Nanoseconds()) / n / 1000}, nil
}

// dialling is how many clients open connections at the same time.
const dialling = 16

// connect opens NATS connections, each until its first PONG, and resets them, which leaves no port in TIME_WAIT.
func connect(v *variant) (measures, error) {
	var opened atomic.Int64
	over := make(chan struct{})
	var clients sync.WaitGroup
	errs := make(chan error, dialling)
	for range dialling {
		clients.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := openOnce(v.at.Nats); err != nil {
					errs <- err
					return
				}
				opened.Add(1)
			}
		})
	}
	n, took, cpu := during(v, &opened)
	close(over)
	clients.Wait()
	close(errs)
	if err := <-errs; err != nil || n == 0 {
		return nil, fmt.Errorf("%v connections were opened, %v", n, err)
	}
	return measures{rate: n / took.Seconds(), cpuEach: float64(cpu.Nanoseconds()) / n / 1000}, nil
}

func openOnce(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.(*net.TCPConn).SetLinger(0)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	lines := bufio.NewReaderSize(c, 1<<10)
	if _, err := io.WriteString(c, "CONNECT {\"verbose\":false,\"lang\":\"go\",\"version\":\"1\",\"protocol\":1}\r\nPING\r\n"); err != nil {
		return err
	}
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("after %q: %w", line, err)
		}
		if line == "PONG\r\n" {
			return nil
		}
	}
}

// bulk is one connection that only writes.
func bulk(v *variant) (measures, error) {
	c, err := net.Dial("tcp", v.at.TCP)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.(*net.TCPConn).SetLinger(0)
	if _, err := io.WriteString(c, "sink\n"); err != nil {
		return nil, err
	}
	var written atomic.Int64
	var writing sync.WaitGroup
	writing.Go(func() {
		piece := make([]byte, 256<<10)
		for {
			n, err := c.Write(piece)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	n, took, cpu := during(v, &written)
	c.SetDeadline(time.Unix(1, 0))
	writing.Wait()
	if n == 0 {
		return nil, errors.New("nothing was written")
	}
	return measures{rate: n / took.Seconds() / 1e6, cpuEach: float64(cpu.Nanoseconds()) / (n / 1024)}, nil
}

// quantile of sorted values.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// cpu is the CPU time that a process has used, all of its threads together.
func (p *process) cpu() time.Duration {
	if p == nil {
		return 0
	}
	// The clock of another process, as clock_getcpuclockid(3) makes its name.
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^p.pid<<3|2), &ts); err != nil {
		panic(fmt.Sprintf("reading the CPU clock of process %d: %v", p.pid, err))
	}
	return time.Duration(ts.Nano())
}

// resident is the memory that a process has in KB.
func (p *process) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			return strconv.ParseFloat(f[1], 64)
		}
	}
	return 0, errors.New("there is no VmRSS")
}

// held is a number of open connections, each one asked for once.
type held []*net.TCPConn

func holding(addr string, n int) (held, error) {
	var all held
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return all, fmt.Errorf("after %d connections: %w", len(all), err)
		}
		all = append(all, c.(*net.TCPConn))
		if _, err := io.WriteString(c, "swap\n"); err != nil {
			return all, fmt.Errorf("after %d connections: %w", len(all), err)
		}
	}
	return all, nil
}

// swap sends and receives on each.
func (h held) swap() error {
	out := make([]byte, 1+exchanged)
	in := make([]byte, exchanged)
	for i, c := range h {
		var writing error
		done := make(chan struct{})
		go func() {
			_, writing = c.Write(out)
			close(done)
		}()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err := io.ReadFull(c, in)
		<-done
		if err := errors.Join(err, writing); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		c.SetDeadline(time.Time{})
	}
	return nil
}

func (h held) drop() {
	for _, c := range h {
		c.SetLinger(0)
		c.Close()
	}
}

// lateness has each connection send its last byte somewhere within spread, and answers with how much later than the
// timeout each of them was ended, in ms, sorted.
func (h held) lateness(timeout, spread time.Duration) ([]float64, error) {
	late := make([]float64, len(h))
	errs := make([]error, len(h))
	var ends sync.WaitGroup
	for i, c := range h {
		wait := rand.N(spread)
		ends.Go(func() {
			time.Sleep(wait)
			last := time.Now()
			if _, err := c.Write([]byte{'.'}); err != nil {
				errs[i] = err
				return
			}
			c.SetReadDeadline(last.Add(timeout + spread + 10*time.Second))
			_, err := c.Read(make([]byte, 1))
			late[i] = float64((time.Since(last) - timeout).Microseconds()) / 1000
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() || err == nil {
				errs[i] = errors.New("it was not ended")
			}
		})
	}
	ends.Wait()
	if err := errors.Join(errs[:min(len(errs), 10)]...); err != nil {
		return nil, err
	}
	slices.Sort(late)
	return late, nil
}
