package proxies

import (
	"context"
	"errors"
)

// Restart restarts the balancer once.
type Restart struct{ Kind string } // reload or crash; "" for never

const (
	restart = "restart"

	reload = "reload"
	crash  = "crash"
)

func init() { register(37, Restart{}) }

// Settings implements Behaviour.
func (Restart) Settings() []Setting {
	return []Setting{{
		Name: restart, Default: none, Values: "none, reload, crash",
		About: "once, in the middle: connections stay with the old instance, or all end and it is back at once",
		Explain: "reload: HAProxy and nginx start a new process for new connections and leave the live ones with the old, which stays until the last has ended. " +
			"crash: the process dies, the operating system closes its connections, and it is started again at once. " +
			"Here a reload gives new connections to a new instance whose policies remember nothing; a crash sends a FIN to both sides of all connections, " +
			"and the same address serves again within milliseconds. " +
			"In containers the balancer's process is killed for real, and another one is started; only where resting source ports are modelled, which a process remembers, it stays.",
	}}
}

// Value implements Behaviour.
func (r Restart) Value(string) string {
	if r.Kind == "" {
		return none
	}
	return r.Kind
}

// With implements Behaviour.
func (r Restart) With(setting, value string) (Behaviour, error) {
	kind, err := parseWord(setting, value, none, reload, crash)
	if kind == none {
		kind = ""
	}
	return Restart{kind}, err
}

// Scaled implements Behaviour.
func (r Restart) Scaled(float64) Behaviour { return r }

// Start implements Behaviour.
func (r Restart) Start() Policy {
	switch r.Kind {
	case reload:
		return reloader{}
	case crash:
		return crasher{}
	}
	return admitsAll{}
}

type reloader struct{ admitsAll }

// Strike implements Striker.
func (reloader) Strike(_ context.Context, b *Balancer) error {
	b.renew()
	b.tell(KindReload)
	return nil
}

type crasher struct{ admitsAll }

// Strike implements Striker.
func (crasher) Strike(_ context.Context, b *Balancer) error {
	b.tell(KindCrash)
	fell := b.fall(restart)
	rose := b.rise()
	if rose == nil {
		b.tell(KindRestarted)
	}
	return errors.Join(fell, rose)
}

// Will is what a balancer leaves whose process is about to be killed: the end of each of its connections, oldest first,
// as the operating system will bring it, with the bytes until now; and what Close would have said about the process.
func (b *Balancer) Will() (ends []Event, lack error) {
	b.mu.Lock()
	instances, lack := b.instances, b.lack
	b.mu.Unlock()
	for _, i := range instances {
		for _, f := range i.oldestFirst() {
			if end, carried := f.will(); carried {
				ends = append(ends, end)
			}
		}
	}
	return ends, lack
}
