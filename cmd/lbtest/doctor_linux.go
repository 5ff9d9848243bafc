package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/lbtest/lbtest/topologies"
)

// ports is the range that connections take their own ports from.
func ports() string {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var from, to int
	if err == nil {
		_, err = fmt.Sscan(string(text), &from, &to)
	}
	if err != nil {
		return "unknown: " + err.Error()
	}
	return fmt.Sprintf("%d to %d, %d towards each address", from, to, to-from+1)
}

// examineKernel asks for what a balancer in a container can use of the kernel.
func examineKernel(ctx context.Context, c *checkup, containers error) {
	said, err := inNamespace(ctx)
	c.have("namespaces", "network namespaces can be made", err)
	if err == nil && said != "" {
		err = errors.New(said)
	}
	c.have("nftables", "answers", err)
	c.balancesAsKernel(containers, err)
}

// nftablesMode makes this program ask the kernel for nftables, in the namespace that it was started in.
const nftablesMode = "__nftables"

// beNftables is the whole life of the process in that mode: it says nothing if nftables answer.
func beNftables() {
	if len(os.Args) < 2 || os.Args[1] != nftablesMode || os.Getenv(topologies.ModeVariable) != nftablesMode {
		return
	}
	if err := askNftables(); err != nil {
		fmt.Print(err)
	}
	os.Exit(0)
}

// inNamespace starts this program in a network namespace of its own, and gives what it says about nftables there. Whoever is not root
// gets a user namespace as well.
func inNamespace(ctx context.Context) (said string, err error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{"lbtest", nftablesMode}
	cmd.Env = append(os.Environ(), topologies.ModeVariable+"="+nftablesMode)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("starting a process in a network namespace: %w", err)
	}
	return out.String(), nil
}

// What follows of netlink is from linux/netlink.h, nfnetlink.h and nf_tables.h.
const (
	netlinkNetfilter = 12
	getGeneration    = 10<<8 | 16 // NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
	headerSize       = 16 + 4     // nlmsghdr and nfgenmsg
)

// askNftables asks for the generation of the ruleset, which every kernel with nftables knows.
func askNftables() error {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkNetfilter)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	question := make([]byte, headerSize)
	binary.NativeEndian.PutUint32(question[0:], headerSize)
	binary.NativeEndian.PutUint16(question[4:], getGeneration)
	binary.NativeEndian.PutUint16(question[6:], syscall.NLM_F_REQUEST)
	if err := syscall.Sendto(fd, question, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	patience := syscall.Timeval{Sec: 2} // the answer is there when sendto returns
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	answer := make([]byte, os.Getpagesize())
	n, _, err := syscall.Recvfrom(fd, answer, 0)
	if err != nil {
		return os.NewSyscallError("recvfrom", err)
	}
	messages, err := syscall.ParseNetlinkMessage(answer[:n])
	if err != nil || len(messages) == 0 {
		return fmt.Errorf("reading the answer of nftables: %w", errors.Join(err, errors.New("it is none")))
	}
	if m := messages[0]; m.Header.Type == syscall.NLMSG_ERROR && len(m.Data) >= 4 {
		if errno := -int32(binary.NativeEndian.Uint32(m.Data)); errno != 0 {
			return fmt.Errorf("nftables are not in this kernel: %w", syscall.Errno(errno))
		}
	}
	return nil
}
