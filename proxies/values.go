package proxies

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
)

// none is the value that turns a duration off.
const none = "none"

// offWords are what people write when they mean none.
var offWords = []string{"", "off", "no", "never", "false", "disabled", "infinite", "unlimited", "-1"}

// parseDuration reads a setting's duration, 0 for none. The error says what was given, what is
// allowed and what was probably meant.
func parseDuration(setting, value string) (time.Duration, error) {
	return parseDurationOr(setting, value, none)
}

// parseDurationOr is parseDuration for a setting whose word for 0 is another than none; "" for one that
// has no such word.
func parseDurationOr(setting, value, off string) (time.Duration, error) {
	if value == off && off != "" {
		return 0, nil
	}
	turnOff, allowed := "", "durations"
	if off != "" {
		turnOff, allowed = fmt.Sprintf("to turn it off, %s=%s", setting, off), off+" and durations"
	}
	if slices.Contains(offWords, strings.ToLower(value)) || value == none {
		if off == "" {
			return 0, fmt.Errorf("%s=%s: it cannot be turned off; allowed are durations such as 60s", setting, value)
		}
		return 0, fmt.Errorf("%s=%s: %s; otherwise a duration such as 60s", setting, value, turnOff)
	}
	d, err := time.ParseDuration(value)
	switch {
	case err == nil && d > 0:
		return d, nil
	case err == nil && d == 0 && off == "":
		return 0, fmt.Errorf("%s=%s: a duration must be longer than zero", setting, value)
	case err == nil && d == 0:
		return 0, fmt.Errorf("%s=%s: a duration must be longer than zero; %s", setting, value, turnOff)
	case err == nil && off == "":
		return 0, fmt.Errorf("%s=%s: a duration cannot be negative: %s?", setting, value, strings.TrimPrefix(value, "-"))
	case err == nil:
		return 0, fmt.Errorf("%s=%s: a duration cannot be negative: %s? T%s", setting, value, strings.TrimPrefix(value, "-"), turnOff[1:])
	}
	guess, bare := likelyDuration(value)
	switch {
	case bare:
		return 0, fmt.Errorf("%s=%s: a duration needs a unit: %s?", setting, value, guess)
	case guess != "":
		return 0, fmt.Errorf("%s=%s: not a duration: %s?", setting, value, guess)
	}
	return 0, fmt.Errorf("%s=%s: not a duration; allowed are %s such as 250ms, 60s or 5m", setting, value, allowed)
}

var numberAndUnit = regexp.MustCompile(`^(\d+(?:\.\d+)?)\s*([a-z]*)$`)

// unitWords are units as people write them, by Go's name of the unit.
var unitWords = map[string][]string{
	"ms": {"ms", "msec", "msecs", "millis", "millisecond", "milliseconds"},
	"s":  {"", "s", "sec", "secs", "second", "seconds"},
	"m":  {"m", "min", "mins", "minute", "minutes"},
	"h":  {"h", "hr", "hrs", "hour", "hours"},
}

// likelyDuration guesses what a malformed duration meant, "" if nothing suggests itself; bare is true
// where only the unit is missing.
func likelyDuration(value string) (guess string, bare bool) {
	parts := numberAndUnit.FindStringSubmatch(strings.ToLower(strings.TrimSpace(value)))
	if parts == nil {
		return "", false
	}
	for unit, words := range unitWords {
		if !slices.Contains(words, parts[2]) {
			continue
		}
		if d, err := time.ParseDuration(parts[1] + unit); err == nil && d > 0 {
			return parts[1] + unit, parts[2] == ""
		}
	}
	return "", false
}

// formatDuration writes a duration as operators do: 60s, 350s, 1h; none for 0.
func formatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return none
	case d%time.Second == 0 && d <= 10*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// scaled divides a duration by the time scale, never down to 0, which would mean none.
func scaled(d time.Duration, factor float64) time.Duration {
	if d == 0 {
		return 0
	}
	return max(time.Duration(float64(d)/factor), 1)
}

// parseCount reads a setting's count, from 1 to most; 0 for off, the word that stands for no limit, or ""
// where there is none. The error says what was given, what is allowed and what was probably meant.
func parseCount(setting, value, off string, most int) (int, error) {
	if value == off && off != "" {
		return 0, nil
	}
	allowed := fmt.Sprintf("allowed are counts from 1 to %d", most)
	if off != "" {
		allowed = fmt.Sprintf("allowed are %s and counts from 1 to %d", off, most)
	}
	n, err := strconv.Atoi(value)
	switch {
	case err == nil && n >= 1 && n <= most:
		return n, nil
	case err == nil && n == 0 && off != "", off != "" && slices.Contains(offWords, strings.ToLower(value)):
		return 0, fmt.Errorf("%s=%s: to turn it off, %[1]s=%[3]s; otherwise a count such as 100", setting, value, off)
	case err == nil && n < 0 && -n <= most:
		return 0, fmt.Errorf("%s=%s: a count cannot be negative: %d? (%s)", setting, value, -n, allowed)
	}
	if guess := likelyCount(value); guess > 0 && guess <= most {
		return 0, fmt.Errorf("%s=%s: not a count: %d? (%s)", setting, value, guess, allowed)
	}
	return 0, fmt.Errorf("%s=%s: not a count it can have; %s", setting, value, allowed)
}

// likelyCount guesses what a malformed count meant, such as 1k, 1,000 or 1000/s; 0 if nothing suggests itself.
func likelyCount(value string) int {
	plain := strings.NewReplacer(",", "", "_", "", " ", "", "/s", "").Replace(strings.ToLower(value))
	times := 1
	if thousands, ok := strings.CutSuffix(plain, "k"); ok {
		plain, times = thousands, 1000
	}
	n, err := strconv.ParseFloat(plain, 64)
	if guess := int(n * float64(times)); err == nil && n > 0 && n < 1e9 {
		return guess
	}
	return 0
}

// formatCount writes a count; off for 0.
func formatCount(n int, off string) string {
	if n == 0 {
		return off
	}
	return strconv.Itoa(n)
}

// parseWord reads a setting's value that is one of a few words.
func parseWord(setting, value string, words ...string) (string, error) {
	if slices.Contains(words, value) {
		return value, nil
	}
	return "", fmt.Errorf("%s=%s%s (allowed: %s)", setting, value, Meant(value, words), strings.Join(words, ", "))
}

// Meant is the end of an error about a name that does not exist: the names it probably stood for, "" where
// nothing suggests itself.
func Meant(given string, names []string) string {
	close := near(given, names)
	if len(close) == 0 {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", strings.Join(close, " or "))
}

// most is how many near names an error names; more is a list, not a suggestion.
const most = 3

// near lists the names that a mistyped one may stand for, the nearest first: those that go on after it and a
// dash, failing these those within a third of its length in edits, and failing these those that contain it.
func near(given string, names []string) []string {
	given = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(given)), "_", "-")
	if given == "" {
		return nil
	}
	var close []string
	for _, n := range names {
		if strings.HasPrefix(n, given+"-") && !slices.Contains(names, given) {
			close = append(close, n) // one of a family, which is nearer than any slip
		}
	}
	if len(close) > 0 {
		return close[:min(len(close), most)]
	}
	for _, n := range names {
		if levenshtein.ComputeDistance(given, n) <= max(1, len(given)/3) {
			close = append(close, n)
		}
	}
	slices.SortStableFunc(close, func(a, b string) int {
		return levenshtein.ComputeDistance(given, a) - levenshtein.ComputeDistance(given, b)
	})
	if len(close) == 0 {
		for _, n := range names {
			if strings.Contains(n, given) {
				close = append(close, n)
			}
		}
	}
	return close[:min(len(close), most)]
}
