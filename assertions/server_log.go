package assertions

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// logged is one line of a server's log, without what is another each time: process, time, addresses and numbers of
// connections.
type logged struct{ level, text string }

// objects reports whether the server takes exception to something, or came to grief.
func (l logged) objects() bool {
	return l.level == "ERR" || l.level == "WRN" || l.level == "FTL" || l.level == ""
}

var (
	logLine  = regexp.MustCompile(`^(?:\[\d+\] )?\d\S+ \d\S+ \[(\w+)\] (.*)$`)
	whose    = regexp.MustCompile(`^\S+:\d+ - \w+:\d+ - (?:"[^"]*" - )*`) // 127.0.0.1:40000 - cid:12 - "v1.55.0:go:app" -
	fromPort = regexp.MustCompile(`\b(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):\d+\b`)
)

// logPlace is where a node's log ends now.
func logPlace(n Node) (int64, error) {
	info, err := os.Stat(n.Log)
	if err != nil {
		return 0, fmt.Errorf("looking at the log of %s: %w", n.Name, err)
	}
	return info.Size(), nil
}

// logSince reads what a node has logged since its log ended at place. What is no line of the server's, such as a
// panic, has no level.
func logSince(n Node, place int64) ([]logged, error) {
	f, err := os.Open(n.Log)
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", n.Name, err)
	}
	defer f.Close()
	if _, err := f.Seek(place, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", n.Name, err)
	}
	var lines []logged
	text := bufio.NewScanner(f)
	text.Buffer(nil, 1<<20) // a configuration that is traced is a long line
	for text.Scan() {
		line := logged{text: text.Text()}
		if parts := logLine.FindStringSubmatch(line.text); parts != nil {
			line = logged{level: parts[1], text: parts[2]}
		}
		line.text = strings.TrimSpace(fromPort.ReplaceAllString(whose.ReplaceAllString(line.text, ""), "$1"))
		lines = append(lines, line)
	}
	if err := text.Err(); err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", n.Name, err)
	}
	return lines, nil
}
