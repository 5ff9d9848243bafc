package backend

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// longestLine is where a line ends that has no end: a CONNECT with a user's JWT takes a few kilobytes, and
	// nats-server itself stops at 4 KB unless told otherwise.
	longestLine = 64 << 10
	// maxPayload is nats-server's default.
	maxPayload = 1 << 20
)

// operation is one thing that a client says.
type operation struct {
	verb    string // CONNECT, PING, PONG, SUB, UNSUB, PUB, HPUB
	subject string
	reply   string
	id      string // of a subscription
	options []byte // of CONNECT
	header  int    // bytes of the payload that are headers
	payload []byte
}

// violation is what a client did wrong, in nats-server's own words.
type violation string

func (v violation) Error() string { return string(v) }

const errUnknown violation = "Unknown Protocol Operation"

// next reads one operation.
func next(r *bufio.Reader) (operation, error) {
	line, err := readLine(r)
	if err != nil {
		return operation{}, err
	}
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	op := operation{verb: strings.ToUpper(string(verb))}
	words := strings.Fields(string(rest))
	switch op.verb {
	case "PING", "PONG", "+OK":
		return op, nil
	case "CONNECT":
		op.options = bytes.TrimSpace(rest)
		return op, nil
	case "SUB":
		if len(words) != 2 && len(words) != 3 { // the middle one is a queue group, of which there is no need here
			return op, fmt.Errorf("SUB takes a subject and a number")
		}
		op.subject, op.id = words[0], words[len(words)-1]
		return op, nil
	case "UNSUB":
		if len(words) == 0 {
			return op, fmt.Errorf("UNSUB takes a number")
		}
		op.id = words[0]
		return op, nil
	case "PUB", "HPUB":
		return op, op.publication(words, r)
	}
	return op, errUnknown
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > longestLine:
			return nil, violation("Maximum Control Line Exceeded")
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// publication reads what follows the line of PUB (subject, reply, size) or HPUB (subject, reply, header size, size).
func (op *operation) publication(words []string, r io.Reader) error {
	numbers := 1
	if op.verb == "HPUB" {
		numbers = 2
	}
	if len(words) != numbers+1 && len(words) != numbers+2 {
		return fmt.Errorf("%s takes a subject and %d sizes", op.verb, numbers)
	}
	op.subject = words[0]
	if len(words) == numbers+2 {
		op.reply = words[1]
	}
	sizes := make([]int, numbers)
	for i, word := range words[len(words)-numbers:] {
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 || n > maxPayload {
			return violation("Maximum Payload Violation")
		}
		sizes[i] = n
	}
	if op.header = 0; numbers == 2 {
		op.header = sizes[0]
	}
	size := sizes[numbers-1]
	if op.header > size {
		return errors.New("a header is longer than its message")
	}
	op.payload = make([]byte, size+2)
	if _, err := io.ReadFull(r, op.payload); err != nil {
		return err
	}
	if !bytes.HasSuffix(op.payload, []byte("\r\n")) {
		return errUnknown
	}
	op.payload = op.payload[:size]
	return nil
}

// matches reports whether a subject is one of a subscription's, * standing for one token and > for all that follow.
func matches(pattern, subject string) bool {
	for {
		want, wants, more := strings.Cut(pattern, ".")
		have, has, further := strings.Cut(subject, ".")
		switch {
		case want == ">":
			return true
		case want != "*" && want != have, more != further:
			return false
		case !more:
			return true
		}
		pattern, subject = wants, has
	}
}
