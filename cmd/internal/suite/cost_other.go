//go:build !unix

package suite

import "time"

// spent is not known on this system.
func spent() time.Duration { return 0 }
