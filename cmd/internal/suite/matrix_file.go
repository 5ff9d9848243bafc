package suite

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/proxies"
	"github.com/lbtest/lbtest/proxies/profiles"
	"github.com/lbtest/lbtest/proxies/written"
	"github.com/lbtest/lbtest/topologies"
)

// The keys of a matrix.
const (
	keyAbout   = "about"
	keyAxes    = "axes"
	keyInclude = "include"
	keyExclude = "exclude"
	keyAssert  = "assert"
	keyLimit   = "limit"
	keyPings   = "pings"
)

var matrixKeys = []string{keyAbout, keyAxes, keyInclude, keyExclude, keyAssert, keyLimit, keyPings}

// ReadMatrix reads a user's file. Its errors are the user's, one a line, each with the file, the line, the column and the key.
func ReadMatrix(file string) (Matrix, error) {
	text, err := written.Open(file, "matrix")
	if err != nil {
		return Matrix{}, err
	}
	return parseMatrix(file, text)
}

// matrixReader reads a matrix's file.
type matrixReader struct{ written.Reader }

func parseMatrix(file string, text []byte) (Matrix, error) {
	r := matrixReader{written.Reader{File: file, Kind: "matrix", Keys: matrixKeys, Least: "a matrix has at least axes with a topology (lbtest schema matrix)"}}
	m := r.matrix(text)
	m.Suite, m.file = file, file
	return m, r.Err()
}

func (r *matrixReader) matrix(text []byte) (m Matrix) {
	found, top := r.Top(text)
	if top == nil {
		return m
	}
	if e, ok := found[keyAbout]; ok {
		m.About = r.Text(e)
	}
	if e, ok := found[keyAxes]; ok {
		m.blocks = append(m.blocks, r.block(e, true))
	}
	if e, ok := found[keyInclude]; ok {
		for _, item := range r.List(e, "a list of further axes, as in - {topology: routes-behind-lb, profile: aws-nlb-tcp}") {
			m.blocks = append(m.blocks, r.block(item, true))
		}
	}
	if len(m.blocks) == 0 && r.Faults() == 0 {
		r.Refuse(top, keyAxes, "is missing: what differs from cell to cell, as in topology: [clients-behind-lb] and profile: ['aws-*']")
	}
	if e, ok := found[keyExclude]; ok {
		for _, item := range r.List(e, "a list of axes with the values to leave out, as in - {topology: routes-behind-lb, inspection: http}") {
			m.excludes = append(m.excludes, exclusion{r.block(item, false), item})
		}
	}
	if e, ok := found[keyAssert]; ok {
		m.Assert = r.patterns(e)
	}
	if e, ok := found[keyLimit]; ok {
		m.Limit = r.limit(e)
	}
	if e, ok := found[keyPings]; ok {
		m.Pings = r.number(e, 2, "pings") // with a single one timeout and ping would come at the same time
	}
	return m
}

// block reads axes. Those of cells, unlike those of an exclusion, need a topology.
func (r *matrixReader) block(all written.Entry, cells bool) block {
	var axes block
	before := r.Faults()
	for _, e := range r.Mapping(all, "a mapping from axes to values, as in idle-timeout: [60s, 350s]") {
		if err := known(e.Name()); err != nil {
			r.Refuse(e.Key, e.Path, "%w", err)
			continue
		}
		axes = append(axes, axis{e.Name(), r.values(e), e})
	}
	has := func(name string) bool {
		return slices.ContainsFunc(axes, func(a axis) bool { return a.name == name })
	}
	switch {
	case r.Faults() > before:
	case cells && !has(axisTopology):
		r.Refuse(all.Key, all.Path, "has no topology: which? (%s)", strings.Join(topologyNames(), ", "))
	case len(axes) == 0:
		r.Refuse(all.Value, all.Path, "is empty, and would leave out everything")
	}
	return axes
}

// known says why there is no axis of that name.
func known(name string) error {
	link, setting := ofLink(name)
	switch option, ofClients := strings.CutPrefix(name, clientAxis); {
	case strings.HasPrefix(name, natsAxis) && name != natsAxis: // whether the servers know the key, they are asked
		return nil
	case ofClients && slices.Contains(assertions.ClientKeys(), option):
		return nil
	case link != "" && !slices.ContainsFunc(topologies.All(), func(t topologies.Topology) bool { return slices.Contains(t.Balanced, topologies.Link(link)) }):
		return fmt.Errorf("%q before the colon is no link that a topology balances", link)
	case slices.Contains(Axes(), setting):
		return nil
	}
	if meant := proxies.Meant(name, Axes()); meant != "" {
		return fmt.Errorf("unknown axis %q%s", name, meant)
	}
	return fmt.Errorf("unknown axis %q: an axis is %s, %s, a setting (lbtest list settings), %sKEY of the servers' configuration, %sKEY (%s), %s, %s or %s",
		name, axisTopology, axisProfile, natsAxis, clientAxis, strings.Join(assertions.ClientKeys(), ", "), axisRuntime, axisAuth, axisClients)
}

// values reads those of an axis. In names of topologies and profiles * stands for anything.
func (r *matrixReader) values(all written.Entry) []string {
	var values []string
	for _, e := range r.Several(all) {
		value, ok := r.Scalar(e)
		if !ok {
			continue
		}
		each := []string{value}
		switch all.Name() {
		case axisTopology:
			each = named(value, topologyNames())
		case axisProfile:
			if profiles.IsFile(value) && !filepath.IsAbs(value) {
				each = []string{besideFile(r.File, value)}
				break
			}
			each = named(value, profiles.Names())
		}
		if len(each) == 0 {
			r.Refuse(e.Value, e.Path, "%q stands for no %s (lbtest list %s)", value, all.Name(), map[string]string{axisTopology: "topologies", axisProfile: "profiles"}[all.Name()])
		}
		for _, v := range each {
			switch err := checked(all.Name(), v); {
			case err != nil:
				r.Refuse(e.Value, e.Path, "%w", err)
			case slices.Contains(values, v) && len(each) == 1:
				r.Refuse(e.Value, e.Path, "%s is given twice", v)
			case !slices.Contains(values, v):
				values = append(values, v)
			}
		}
	}
	if len(values) == 0 && len(r.Several(all)) == 0 {
		r.Refuse(all.Value, all.Path, "has no value")
	}
	return values
}

// besideFile is a path as it was written in a file, as seen from here.
func besideFile(file, path string) string {
	seen := filepath.Join(filepath.Dir(file), path)
	if !profiles.IsFile(seen) || !strings.ContainsRune(seen, '/') {
		return "./" + seen
	}
	return seen
}

func (r *matrixReader) patterns(all written.Entry) []string {
	var patterns []string
	for _, e := range r.Several(all) {
		pattern, ok := r.Scalar(e)
		if !ok {
			continue
		}
		if _, err := choose([]string{pattern}); err != nil {
			r.Refuse(e.Value, e.Path, "%w", err)
		}
		patterns = append(patterns, pattern)
	}
	return patterns
}

func (r *matrixReader) limit(e written.Entry) time.Duration {
	given, ok := r.Scalar(e)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(given)
	if err != nil || d <= 0 {
		r.Refuse(e.Value, e.Path, "%q: want a duration above zero with its unit, as in 90s or 3m", given)
	}
	return d
}

// number reads how many of something there are to be.
func (r *matrixReader) number(e written.Entry, least int, what string) int {
	given, ok := r.Scalar(e)
	n, err := strconv.Atoi(given)
	if ok && (err != nil || n < least) {
		r.Refuse(e.Value, e.Path, "%q: want a number of %s from %d up", given, what, least)
	}
	return n
}

// MatrixSchema is the JSON schema (draft 2020-12) of a matrix's file, for editors that complete and check.
func MatrixSchema() []byte {
	value := map[string]any{"type": []string{"string", "number", "boolean"}}
	several := map[string]any{"anyOf": []any{value, map[string]any{"type": "array", "minItems": 1, "items": value}}}
	properties := map[string]any{}
	for _, name := range Axes() {
		if !strings.HasPrefix(name, natsAxis) {
			properties[name] = several
		}
	}
	axes := map[string]any{"type": "object", "minProperties": 1, "additionalProperties": false, "properties": properties,
		"patternProperties": map[string]any{`^nats\.`: several, `^(clients|websocket|routes|gateways|leafnodes):`: several}}
	cells := map[string]any{"allOf": []any{map[string]any{"$ref": "#/$defs/axes"}, map[string]any{"required": []string{axisTopology}}}}
	schema := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "lbtest matrix", "type": "object", "additionalProperties": false,
		"description": "What lbtest matrix FILE asks: a cell is one value of each axis. Files of profiles are relative to this one.",
		"anyOf":       []any{map[string]any{"required": []string{keyAxes}}, map[string]any{"required": []string{keyInclude}}},
		"$defs":       map[string]any{"axes": axes, "cells": cells},
		"properties": map[string]any{
			keyAbout:   map[string]any{"type": "string", "description": "What it is for, in a sentence."},
			keyAxes:    map[string]any{"$ref": "#/$defs/cells", "description": "What differs from cell to cell; * stands for anything in names of topologies and profiles, default for leaving it as it is."},
			keyInclude: map[string]any{"type": "array", "items": map[string]any{"$ref": "#/$defs/cells"}, "description": "Further axes, multiplied by themselves."},
			keyExclude: map[string]any{"type": "array", "items": map[string]any{"$ref": "#/$defs/axes"}, "description": "Cells to leave out; a setting is compared with the profile's as well."},
			keyAssert:  map[string]any{"anyOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}, "description": "Judge only these assertions, as after --assert."},
			keyLimit:   map[string]any{"type": "string", "description": "The longest that a cell may take; one that would take longer is skipped."},
			keyPings:   map[string]any{"type": "integer", "minimum": 2, "description": "Idle timeouts of profiles beyond that many pings of the link are simulated as that many: longer ones are only more lenient."},
		},
	}
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("the schema of matrices: %v", err)) // it consists of texts
	}
	return append(text, '\n')
}
