//go:build linux

package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// clause is one part of a rule, as one reads it and as the kernel gets it.
type clause struct {
	text    string
	exprs   []expr.Any
	targets []netip.AddrPort // what a choice is made among, by its number
}

// The groups to which packets are logged, for this process to read.
const (
	logArriving = 1 // the first packet of a connection, before an address or a port has been found for it
	logInvalid  = 2 // a packet of a connection that the table does not have
)

// probeMark marks the packets by which this process provokes answers.
const probeMark = 0x6c62

// The registers that expressions hand each other values in. One that holds an address and a port has the latter in its
// second half, which has a number of its own.
const (
	first      = unix.NFT_REG_1
	firstUpper = unix.NFT_REG32_01
	second     = unix.NFT_REG_2
	third      = unix.NFT_REG_3
)

func tcp() clause {
	return clause{text: "meta l4proto tcp", exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first}, equals([]byte{unix.IPPROTO_TCP})}}
}

func equals(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: data} }

func dport(port uint16) clause {
	return clause{text: fmt.Sprintf("tcp dport %d", port), exprs: []expr.Any{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, equals(binaryutil.BigEndian.PutUint16(port))}}
}

func from(a netip.Addr) clause { return address("saddr", 12, a) }
func to(a netip.Addr) clause   { return address("daddr", 16, a) }

func address(which string, at uint32, a netip.Addr) clause {
	return clause{text: fmt.Sprintf("ip %s %s", which, a), exprs: []expr.Any{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: 4}, equals(a.AsSlice())}}
}

func invalid() clause {
	return conntrackBits("ct state invalid", expr.CtKeySTATE, expr.CtStateBitINVALID)
}
func isNew() clause { return conntrackBits("ct state new", expr.CtKeySTATE, expr.CtStateBitNEW) }

// translated is a connection that a rule of this table has given another destination.
func translated() clause { return conntrackBits("ct status dnat", expr.CtKeySTATUS, 1<<5) } // IPS_DST_NAT

func conntrackBits(text string, key expr.CtKey, bits uint32) clause {
	return clause{text: text, exprs: []expr.Any{
		&expr.Ct{Key: key, Register: first},
		&expr.Bitwise{SourceRegister: first, DestRegister: first, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: first, Data: make([]byte, 4)},
	}}
}

func log(group uint16) clause {
	return clause{text: fmt.Sprintf("log group %d", group), exprs: []expr.Any{
		&expr.Log{Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_SNAPLEN | 1<<unix.NFTA_LOG_QTHRESHOLD, Group: group, Snaplen: loggedBytes, QThreshold: 1}}}
}

func drop() clause {
	return clause{text: "drop", exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}}
}

func reset() clause {
	return clause{text: "reject with tcp reset", exprs: []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}}
}

func icmpRedirect() clause {
	const redirect = 5 // the ICMP type
	return clause{text: "icmp type redirect", exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first}, equals([]byte{unix.IPPROTO_ICMP}),
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1}, equals([]byte{redirect}),
	}}
}

func marked(mark uint32) clause {
	return clause{text: fmt.Sprintf("meta mark %#x", mark), exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: first}, equals(binaryutil.NativeEndian.PutUint32(mark))}}
}

func untracked() clause { return clause{text: "notrack", exprs: []expr.Any{&expr.Notrack{}}} }

func snatTo(own netip.Addr, p portRange) clause {
	return clause{text: fmt.Sprintf("snat to %s:%d-%d", own, p.from, p.to), exprs: []expr.Any{
		&expr.Immediate{Register: first, Data: own.AsSlice()},
		&expr.Immediate{Register: second, Data: binaryutil.BigEndian.PutUint16(p.from)},
		&expr.Immediate{Register: third, Data: binaryutil.BigEndian.PutUint16(p.to)},
		// Without saying that ports are specified the kernel takes the rule and ignores the range.
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: first, RegProtoMin: second, RegProtoMax: third, Specified: true},
	}}
}

func dnatTo(a netip.AddrPort) clause {
	return clause{text: fmt.Sprintf("dnat to %s", a), exprs: []expr.Any{
		&expr.Immediate{Register: first, Data: a.Addr().AsSlice()},
		&expr.Immediate{Register: second, Data: binaryutil.BigEndian.PutUint16(a.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: first, RegProtoMin: second},
	}}
}

func dnatByTurns(to []netip.AddrPort) clause {
	return dnatBy("numgen inc", to, &expr.Numgen{Register: first, Modulus: uint32(len(to)), Type: unix.NFT_NG_INCREMENTAL})
}

func dnatByChance(to []netip.AddrPort) clause {
	return dnatBy("numgen random", to, &expr.Numgen{Register: first, Modulus: uint32(len(to)), Type: unix.NFT_NG_RANDOM})
}

func dnatByHash(to []netip.AddrPort, seed uint32) clause {
	return dnatBy("jhash ip saddr", to,
		&expr.Payload{DestRegister: second, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Hash{SourceRegister: second, DestRegister: first, Length: 4, Modulus: uint32(len(to)), Seed: seed, Type: expr.HashTypeJenkins})
}

// dnatBy looks the number that was chosen up in a map, which is made with the rule.
func dnatBy(how string, to []netip.AddrPort, number ...expr.Any) clause {
	names := make([]string, len(to))
	for i, a := range to {
		names[i] = fmt.Sprintf("%d : %s . %d", i, a.Addr(), a.Port())
	}
	return clause{
		text:    fmt.Sprintf("dnat to %s mod %d map { %s }", how, len(to), strings.Join(names, ", ")),
		targets: to,
		exprs: append(number, &expr.Lookup{SourceRegister: first, DestRegister: first, IsDestRegSet: true},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: first, RegProtoMin: firstUpper}),
	}
}

// numbered is the map of a choice: from its number to an address and a port.
func numbered(table *nftables.Table, to []netip.AddrPort) (*nftables.Set, []nftables.SetElement) {
	elements := make([]nftables.SetElement, len(to))
	for i, a := range to {
		value := make([]byte, 8) // four of the address, two of the port, two to fill the register
		copy(value, a.Addr().AsSlice())
		binary.BigEndian.PutUint16(value[4:], a.Port())
		elements[i] = nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(i)), Val: value}
	}
	return &nftables.Set{
		Table: table, Anonymous: true, Constant: true, IsMap: true,
		KeyType: nftables.TypeInteger, DataType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService),
	}, elements
}
