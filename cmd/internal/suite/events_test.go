package suite

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lbtest/lbtest/assertions"
	"github.com/lbtest/lbtest/topologies"
)

func TestEveryLabsEventsHaveIdsOfTheirOwn(t *testing.T) {
	l := planned(t, Options{Set: []string{"stall=6s"}}).scenarios[0].labs[0]
	var file bytes.Buffer
	b := book{to: &file}
	ids := map[string]bool{}
	began := time.Date(2026, 3, 1, 8, 40, 1, 0, time.UTC)
	for range 3 {
		h := assertions.History{Events: []assertions.Event{{ID: "e1", At: 1500 * time.Millisecond, From: assertions.Lab, Kind: "serving"}, {ID: "e2", Took: time.Second, From: assertions.Client, Kind: "heard"}}}
		b.enter(l, began, h, errors.New("it broke"))
		for _, e := range h.Events {
			if ids[e.ID] {
				t.Errorf("%s is there twice", e.ID)
			}
			ids[e.ID] = true
		}
	}
	written, labs := map[string]bool{}, map[string]bool{}
	for lines := bufio.NewScanner(&file); lines.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		id, isEvent := line["id"].(string)
		if !isEvent {
			labs[line["lab"].(string)] = true
			if line["topology"] != "routes-behind-lb" || line["error"] != "it broke" || line["started"] != "2026-03-01T08:40:01Z" {
				t.Errorf("a lab is %v", line)
			}
			continue
		}
		written[id] = true
		lab, _, _ := strings.Cut(id, "/")
		if !labs[lab] {
			t.Errorf("%s stands before its lab", id)
		}
		if line["kind"] == "serving" && (line["at_s"] != 1.5 || line["at"] != nil) {
			t.Errorf("an event is %v", line)
		}
	}
	for id := range ids {
		if !written[id] {
			t.Errorf("%s is not written", id)
		}
	}
}

func TestWithoutAFileLabsAreNumberedAllTheSame(t *testing.T) {
	var b book
	h := assertions.History{Events: []assertions.Event{{ID: "e1"}}}
	b.enter(planned(t, Options{Set: []string{"stall=6s"}}).scenarios[0].labs[0], time.Now(), h, nil)
	if h.Events[0].ID != "lab1/e1" {
		t.Errorf("got %s", h.Events[0].ID)
	}
}

// Every secret that a lab's clients and servers have, put everywhere into an event where there is a text: none may stay.
func TestSecretsAreTakenOutOfEvents(t *testing.T) {
	for _, mode := range topologies.AuthModes() {
		made, err := newSecrets(assertions.Security{Auth: string(mode), Clients: assertions.InfoFirst, Servers: assertions.InfoFirst, Verified: true, Balancer: "passthrough"},
			topologies.Build{Topology: topologies.All()[0]}, site{}.hosts)
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		var hidden []string
		for _, c := range made.clients {
			hidden = append(hidden, c.Token, c.Seed, c.JWT)
		}
		hidden = append(hidden, made.logins.Token)
		for _, secret := range hidden {
			if secret == "" {
				continue
			}
			text := "n1 logged [" + secret + "] and " + secret
			events := []assertions.Event{{What: text, Why: text, Addr: text, Info: &assertions.Info{Name: text, URLs: []string{text}}, TLS: &assertions.Handshake{Untrusted: text}}}
			redact(events, made.hidden())
			told, err := json.Marshal(events)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(told, []byte(secret)) || bytes.Count(told, []byte(redacted)) != 12 {
				t.Errorf("%s: %s is left of %s", mode, told, secret)
			}
		}
	}
}

func TestWhatLooksLikeASecretIsTakenOut(t *testing.T) {
	for text, want := range map[string]string{
		"dialling nats-leaf://leaf:hunter2@10.0.0.1:7422":                           "dialling nats-leaf://[REDACTED]@10.0.0.1:7422",
		"seed SUAOE3P5AG5RXM6Y3XRGGDYHFHLUWLYGUXNZIKTGCYLUEXZVLSVHKLOTYE of a user": "seed [REDACTED] of a user",
		"jwt eyJ0eXAiOiJKV1QifQ.eyJqdGkiOiJYIn0.c2lnbmF0dXJl here":                  "jwt [REDACTED] here",
		"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\nand":       "[REDACTED]\nand",
		"the user UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4":         "the user UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4", // a public key is none
		"connection to nats://10.0.0.1:4222 was reset, mail a@b.c":                  "connection to nats://10.0.0.1:4222 was reset, mail a@b.c",
	} {
		if got := redactedText(text, nil); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
