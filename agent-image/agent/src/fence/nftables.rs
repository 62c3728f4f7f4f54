//! A packet filter for what this network namespace sends, installed over netlink in one transaction: a table with one
//! chain on the output hook. Sources: `linux/netfilter/nf_tables.h`, `nfnetlink.h`, `netlink.h`.
//!
//! The few messages are written here since the libraries for it either need a C library or are not free to link.

use std::io;
use std::net::IpAddr;

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

use super::Network;

/// What a packet must be for a rule to hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Match<'a> {
    /// It leaves by this interface.
    Interface(&'a str),
    Ipv6,
    To(Network),
    /// IPv6, and not to `2000::/3`.
    BeyondGlobalV6,
    Protocol(i32),
    /// Of TCP or UDP.
    Port(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    /// Dropped, and the sender is told.
    Reject,
}

/// The first rule that holds decides; without one the packet goes out.
#[derive(Debug, Default)]
pub(super) struct Ruleset(Vec<Vec<u8>>);

const TABLE: &str = "atelier";
const CHAIN: &str = "output";

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const MESSAGE_ERROR: u16 = 2;
const INET: u8 = 1;

const NESTED: u16 = 0x8000;
const HOOK_OUTPUT: u32 = 3;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const META_OUT_INTERFACE: u32 = 7;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const REJECT_BY_ICMP: u32 = 2;
const ADMINISTRATIVELY_PROHIBITED: u8 = 3;

impl Ruleset {
    pub(super) fn add(&mut self, matches: &[Match<'_>], verdict: Verdict) {
        let mut expressions = Vec::new();
        for condition in matches {
            condition.write(&mut expressions);
        }
        verdict.write(&mut expressions);
        let mut body = Vec::new();
        text(&mut body, 1, TABLE);
        text(&mut body, 2, CHAIN);
        attribute(&mut body, 4 | NESTED, &expressions);
        self.0.push(body);
    }

    /// All or nothing.
    pub(super) fn install(&self) -> io::Result<()> {
        let mut table = Vec::new();
        text(&mut table, 1, TABLE);
        let mut hook = Vec::new();
        number(&mut hook, 1, HOOK_OUTPUT);
        number(&mut hook, 2, 0);
        let mut chain = Vec::new();
        text(&mut chain, 1, TABLE);
        text(&mut chain, 3, CHAIN);
        attribute(&mut chain, 4 | NESTED, &hook);
        number(&mut chain, 5, ACCEPT);
        text(&mut chain, 7, "filter");

        let mut batch = Vec::new();
        message(&mut batch, BATCH_BEGIN, REQUEST, 0, SUBSYSTEM, &[]);
        message(&mut batch, SUBSYSTEM << 8 | NEW_TABLE, REQUEST | ACKNOWLEDGE | CREATE, INET, 0, &table);
        message(&mut batch, SUBSYSTEM << 8 | NEW_CHAIN, REQUEST | ACKNOWLEDGE | CREATE, INET, 0, &chain);
        for rule in &self.0 {
            message(&mut batch, SUBSYSTEM << 8 | NEW_RULE, REQUEST | ACKNOWLEDGE | CREATE | APPEND, INET, 0, rule);
        }
        message(&mut batch, BATCH_END, REQUEST, 0, SUBSYSTEM, &[]);
        transact(&batch, self.0.len() + 2)
    }
}

/// The kernel has answered every message when the sending returns.
fn transact(batch: &[u8], messages: usize) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?;
    sendto(&socket, batch, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut acknowledged = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = match recv(&socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((length, _)) => length,
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error.into()),
        };
        let mut rest = &buffer[..length];
        // Each has a header of 16 bytes and, of this kind, an error number.
        while let (Some(size), Some(kind)) = (native_u32(rest, 0), native_u16(rest, 4)) {
            if kind == MESSAGE_ERROR {
                match native_u32(rest, 16).map(u32::cast_signed) {
                    Some(0) => acknowledged += 1,
                    Some(error) => return Err(io::Error::from_raw_os_error(-error)),
                    None => break,
                }
            }
            let size = (size as usize).next_multiple_of(4);
            match rest.get(size..) {
                Some(more) if size > 0 => rest = more,
                _ => break,
            }
        }
    }
    if acknowledged == messages { Ok(()) } else { Err(io::Error::other("the kernel did not confirm every rule")) }
}

impl Match<'_> {
    fn write(self, to: &mut Vec<u8>) {
        match self {
            Self::Interface(name) => {
                // As the kernel holds it: 16 bytes, the rest zero.
                let mut padded = [0; 16];
                for (place, byte) in padded.iter_mut().zip(name.bytes()) {
                    *place = byte;
                }
                meta(to, META_OUT_INTERFACE);
                compare(to, EQUAL, &padded);
            }
            Self::Ipv6 => family(to, libc::AF_INET6),
            Self::To(Network { address, length }) => {
                let mask = |bytes: usize| (0..bytes).map(|byte| mask_byte(length, byte)).collect::<Vec<u8>>();
                match address {
                    IpAddr::V4(address) => {
                        family(to, libc::AF_INET);
                        destination(to, 16, &mask(4), EQUAL, &address.octets());
                    }
                    IpAddr::V6(address) => {
                        family(to, libc::AF_INET6);
                        destination(to, 24, &mask(16), EQUAL, &address.octets());
                    }
                }
            }
            Self::BeyondGlobalV6 => {
                family(to, libc::AF_INET6);
                let (mut mask, mut global) = ([0; 16], [0; 16]);
                (mask[0], global[0]) = (0xe0, 0x20);
                destination(to, 24, &mask, NOT_EQUAL, &global);
            }
            Self::Protocol(protocol) => {
                meta(to, META_PROTOCOL);
                compare(to, EQUAL, &protocol.to_le_bytes()[..1]);
            }
            Self::Port(port) => {
                payload(to, TRANSPORT_HEADER, 2, 2);
                compare(to, EQUAL, &port.to_be_bytes());
            }
        }
    }
}

impl Verdict {
    fn write(self, to: &mut Vec<u8>) {
        let mut data = Vec::new();
        if self == Self::Reject {
            number(&mut data, 1, REJECT_BY_ICMP);
            attribute(&mut data, 2, &[ADMINISTRATIVELY_PROHIBITED]);
            return expression(to, "reject", &data);
        }
        let (mut code, mut verdict) = (Vec::new(), Vec::new());
        number(&mut code, 1, if self == Self::Accept { ACCEPT } else { DROP });
        attribute(&mut verdict, 2 | NESTED, &code);
        number(&mut data, 1, VERDICT_REGISTER);
        attribute(&mut data, 2 | NESTED, &verdict);
        expression(to, "immediate", &data);
    }
}

fn mask_byte(length: u8, byte: usize) -> u8 {
    match usize::from(length).saturating_sub(8 * byte) {
        8.. => 0xff,
        bits => !(0xff >> bits),
    }
}

fn family(to: &mut Vec<u8>, family: i32) {
    meta(to, META_FAMILY);
    compare(to, EQUAL, &family.to_le_bytes()[..1]);
}

fn destination(to: &mut Vec<u8>, offset: u32, mask: &[u8], operator: u32, network: &[u8]) {
    payload(to, NETWORK_HEADER, offset, mask.len());
    let mut data = Vec::new();
    number(&mut data, 1, REGISTER);
    number(&mut data, 2, REGISTER);
    size(&mut data, 3, mask.len());
    value(&mut data, 4, mask);
    value(&mut data, 5, &vec![0; mask.len()]);
    expression(to, "bitwise", &data);
    compare(to, operator, network);
}

fn meta(to: &mut Vec<u8>, key: u32) {
    let mut data = Vec::new();
    number(&mut data, 1, REGISTER);
    number(&mut data, 2, key);
    expression(to, "meta", &data);
}

fn payload(to: &mut Vec<u8>, header: u32, offset: u32, length: usize) {
    let mut data = Vec::new();
    number(&mut data, 1, REGISTER);
    number(&mut data, 2, header);
    number(&mut data, 3, offset);
    size(&mut data, 4, length);
    expression(to, "payload", &data);
}

fn compare(to: &mut Vec<u8>, operator: u32, bytes: &[u8]) {
    let mut data = Vec::new();
    number(&mut data, 1, REGISTER);
    number(&mut data, 2, operator);
    value(&mut data, 3, bytes);
    expression(to, "cmp", &data);
}

fn expression(to: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut element = Vec::new();
    text(&mut element, 1, name);
    attribute(&mut element, 2 | NESTED, data);
    attribute(to, 1 | NESTED, &element);
}

fn value(to: &mut Vec<u8>, kind: u16, bytes: &[u8]) {
    let mut data = Vec::new();
    attribute(&mut data, 1, bytes);
    attribute(to, kind | NESTED, &data);
}

fn number(to: &mut Vec<u8>, kind: u16, number: u32) {
    attribute(to, kind, &number.to_be_bytes());
}

fn size(to: &mut Vec<u8>, kind: u16, size: usize) {
    number(to, kind, u32::try_from(size).unwrap_or(u32::MAX));
}

fn text(to: &mut Vec<u8>, kind: u16, text: &str) {
    attribute(to, kind, &[text.as_bytes(), b"\0"].concat());
}

/// Length and kind in the byte order of the machine, then the payload, padded to four bytes.
fn attribute(to: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
    to.extend(length.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(payload);
    to.resize(to.len().next_multiple_of(4), 0);
}

fn message(to: &mut Vec<u8>, kind: u16, flags: u16, family: u8, resource: u16, body: &[u8]) {
    const HEADERS: usize = 20;
    let length = u32::try_from(HEADERS + body.len()).unwrap_or(u32::MAX);
    to.extend(length.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(flags.to_ne_bytes());
    // Sequence and port: nobody else is on this socket.
    to.extend([0; 8]);
    to.extend([family, 0]);
    to.extend(resource.to_be_bytes());
    to.extend(body);
}

fn native_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn native_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_cut_within_a_byte() {
        let mask = |length| (0..4).map(|byte| mask_byte(length, byte)).collect::<Vec<_>>();
        assert_eq!(mask(12), [255, 240, 0, 0]);
        assert_eq!((mask(0), mask(32)), (vec![0; 4], vec![255; 4]));
    }

    #[test]
    fn attributes_are_padded_and_say_their_own_length() {
        let mut bytes = Vec::new();
        text(&mut bytes, 1, "cmp!");
        let mut expected = [9_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat();
        expected.extend(b"cmp!\0\0\0\0");
        assert_eq!(bytes, expected);
    }
}
