package embedded

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// owns says whether a process has the TCP socket whose own end is at an address.
func owns(pid int, end netip.AddrPort) bool {
	inode := socketAt(end)
	if inode == "" {
		return false
	}
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, fd := range open {
		if is, err := os.Readlink(fd); err == nil && is == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}

// socketAt finds the inode of the socket at an address, as proc_net(5) lists them; "" if there is none. A
// socket that listens, or that no process has any more, has the address of another, or inode 0.
func socketAt(end netip.AddrPort) string {
	ip := end.Addr().Unmap()
	for file, at := range map[string]string{"/proc/net/tcp": kernelAddress(ip, end.Port()), "/proc/net/tcp6": kernelAddress(netip.AddrFrom16(ip.As16()), end.Port())} {
		if inode := inodeIn(file, at); inode != "" {
			return inode
		}
	}
	return ""
}

func inodeIn(file, at string) string {
	table, err := os.Open(file)
	if err != nil {
		return "" // without IPv6 there is no tcp6
	}
	defer table.Close()
	for lines := bufio.NewScanner(table); lines.Scan(); {
		// sl local_address rem_address st queues tr:when retrnsmt uid timeout inode
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && fields[1] == at && fields[3] != listening && fields[9] != "0" {
			return fields[9]
		}
	}
	return ""
}

// listening is TCP_LISTEN of the kernel's states.
const listening = "0A"

// kernelAddress writes an address as the kernel's tables do: words in the machine's order, in hexadecimal.
func kernelAddress(ip netip.Addr, port uint16) string {
	text := ""
	for words := ip.AsSlice(); len(words) > 0; words = words[4:] {
		text += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(words))
	}
	return fmt.Sprintf("%s:%04X", text, port)
}
