package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/lbtest/lbtest/topologies"
)

// Check reads the configuration of each node as the node would, and starts nothing. Each --nats setting
// is also tried alone, so that an objection can be laid to the setting that draws it.
func (r *runtime) Check(b topologies.Build) (err error) {
	if beyond := b.Limits.Enforced(); len(beyond) > 0 {
		return fmt.Errorf("--node %s: child processes share this machine, and nothing keeps one to a limit of its own; add --runtime docker", strings.Join(beyond, " --node "))
	}
	dir := ""
	if b.Identity != nil { // whose files the server's parser opens
		if dir, err = os.MkdirTemp("", prefix); err != nil {
			return fmt.Errorf("making a directory for certificates: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if err := topologies.Own(dir); err != nil {
			return err
		}
	}
	var members []topologies.Member
	for i, name := range b.Topology.Nodes() {
		// Addresses that are only read: any will do as long as they differ.
		m := topologies.Member{Name: name, Host: loopback, Monitor: 10000 + 10*i, Dir: filepath.Join(dir, name), Ports: map[topologies.Link]int{}}
		for j, link := range b.Topology.Listens(name) {
			m.Ports[link] = m.Monitor + 1 + j
		}
		members = append(members, m)
	}
	if len(members) == 0 {
		return errors.New("checking the configuration: the topology has no nodes")
	}
	b = b.Directly(members)
	for _, m := range members {
		if _, err := topologies.Render(b, m); err != nil {
			return err
		}
		if b.Identity == nil {
			continue
		}
		if err := writeFiles(b, m); err != nil {
			return err
		}
	}

	var objections []error
	for _, kv := range b.Tuning.Nats {
		objection, warnings, err := alone(b, kv, members)
		if err != nil {
			return err
		}
		if objection != nil {
			objections = append(objections, fmt.Errorf("--nats %s: %w", kv, objection))
		}
		for _, w := range warnings {
			r.log.Warn("nats-server warns about --nats "+kv.String(), "warning", w)
		}
	}
	if len(objections) > 0 {
		return errors.Join(objections...)
	}
	for _, m := range members {
		text, err := topologies.Render(b, m)
		if err != nil {
			return err
		}
		opts, _, err := read(text)
		if err == nil {
			// Making a server starts nothing. It is where the server compares settings with each other.
			_, err = server.NewServer(opts)
		}
		if err != nil {
			return fmt.Errorf("%snats-server says: %w", together(b.Tuning.Nats), err)
		}
	}
	return nil
}

// alone tries one setting by itself on a node of each cluster, since a leafnode and its hub read different keys. It
// gives the objection of the first that has one.
func alone(b topologies.Build, kv topologies.KeyValue, members []topologies.Member) (objection error, warnings []string, err error) {
	if wrong := wrongKind(kv); wrong != "" {
		return fmt.Errorf("want %s", wrong), nil, nil
	}
	b.JetStream = true // so that jetstream.* keys are read as well
	b.Tuning = topologies.Tuning{Nats: []topologies.KeyValue{kv}}
	for _, c := range b.Topology.Clusters {
		i := slices.IndexFunc(members, func(m topologies.Member) bool { return m.Name == c.Nodes[0] })
		text, err := topologies.Render(b, members[i])
		if err != nil {
			return nil, nil, err
		}
		_, warned, err := read(text)
		for _, w := range warned {
			if !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
		if err != nil {
			return fmt.Errorf("nats-server says: %w%s", err, suggestion(kv.Key)), warnings, nil
		}
	}
	return nil, warnings, nil
}

// together names settings of which each may be right alone.
func together(given []topologies.KeyValue) string {
	if len(given) == 0 {
		return ""
	}
	names := make([]string, len(given))
	for i, kv := range given {
		names[i] = kv.String()
	}
	return "--nats " + strings.Join(names, " --nats ") + ": "
}

// read reads a configuration with the server's own parser.
func read(text string) (opts *server.Options, warnings []string, err error) {
	opts = &server.Options{NoSigs: true, NoLog: true}
	if err := opts.ProcessConfigString(text); err != nil {
		// Errors and warnings come as one; only this tells them apart.
		var both interface {
			Errors() []error
			Warnings() []error
		}
		if !errors.As(err, &both) {
			return nil, nil, err
		}
		for _, w := range both.Warnings() {
			warnings = append(warnings, unplaced(w).Error())
		}
		var errs []error
		for _, e := range both.Errors() {
			errs = append(errs, unplaced(e))
		}
		if len(errs) > 0 {
			return nil, warnings, errors.Join(errs...)
		}
	}
	return opts, warnings, nil
}

// unplaced gives an error of the parser without the place in a text that the user has not written.
func unplaced(err error) error {
	var placed interface{ Source() string }
	if !errors.As(err, &placed) {
		return err
	}
	return errors.New(strings.TrimPrefix(err.Error(), placed.Source()+": "))
}
